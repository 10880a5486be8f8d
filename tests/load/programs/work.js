// SPDX-License-Identifier: BSD-3-Clause
// work.js: many kinds of work for node.
"use strict";
const assert = require("assert");
const { spawnSync, fork } = require("child_process");
const crypto = require("crypto");
const fs = require("fs");
const net = require("net");
const { promisify } = require("util");
const zlib = require("zlib");
const workers = require("worker_threads");

function work(seed, size) {
	const map = new Map();
	for (let i = 0; i < size; i++)
		map.set("key " + ((i * 7919 + seed) % 100003), Buffer.alloc(i % 2000, i & 255));
	let hash = crypto.createHash("sha256");
	for (const key of [...map.keys()].sort())
		hash.update(key).update(map.get(key));
	return hash.digest("hex");
}

async function main() {
	console.log(work(1, 20000));
	// Threads, each with a heap of its own.
	const threads = [1, 2, 3, 4].map((seed) => new Promise((done, failed) => {
		const worker = new workers.Worker(__filename, { workerData: seed });
		worker.on("message", done).on("error", failed);
	}));
	console.log((await Promise.all(threads)).join("\n"));
	// Work for libuv's threads: compression, keys, files.
	const input = Buffer.from(Array.from({ length: 300000 }, (_, i) => i * i % 251));
	const quality = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } };
	const packed = await Promise.all([promisify(zlib.gzip)(input),
		promisify(zlib.brotliCompress)(input, quality), promisify(zlib.deflate)(input)]);
	assert(input.equals(zlib.gunzipSync(packed[0])));
	assert(input.equals(zlib.brotliDecompressSync(packed[1])));
	assert(input.equals(zlib.inflateSync(packed[2])));
	const keys = await Promise.all([...Array(8).keys()].map((i) =>
		promisify(crypto.pbkdf2)("secret " + i, "salt", 2000, 64, "sha512")));
	console.log(keys.map((key) => key.toString("hex").slice(0, 16)).join(" "));
	await Promise.all([...Array(100).keys()].map((i) =>
		fs.promises.writeFile("file" + i, "x".repeat(i * 500))));
	const sizes = await Promise.all([...Array(100).keys()].map(async (i) =>
		(await fs.promises.readFile("file" + i)).length));
	console.log(sizes.reduce((a, b) => a + b));
	// A server and its clients.
	const server = net.createServer((socket) => socket.pipe(socket)).listen("socket");
	const echoed = await Promise.all([...Array(50).keys()].map((i) => new Promise((done) => {
		const client = net.connect("socket"), parts = [];
		client.on("data", (part) => parts.push(part));
		client.on("end", () => done(Buffer.concat(parts).length));
		client.end(Buffer.alloc(i * 3000, i));
	})));
	server.close();
	console.log(echoed.join(" "));
	// Processes.
	for (let i = 0; i < 5; i++)
		console.log(spawnSync("sh", ["-c", `sort -rn | head -n 1; exit ${i}`],
			{ input: Array.from({ length: 1000 * i }, (_, j) => j).join("\n") + "\n" })
			.output.join("").trim());
	const child = fork(__filename, ["child"]);
	child.send("hello");
	console.log(await new Promise((done) => child.on("message", done)));
	const letters = [..."the quick brown fox"].map((c, i) => [c, i]);
	console.log(JSON.stringify(Object.fromEntries(letters)),
		"aXbXXc".replace(/X+(?=c)/u, "-"), 2n ** 200n,
		[3, 1, 2].sort().join(), Intl.NumberFormat("de").format(1234567.891));
	if (globalThis.gc)
		gc();
}

if (!workers.isMainThread)
	workers.parentPort.postMessage(work(workers.workerData, 8000));
else if (process.argv[2] === "child")
	process.on("message", (message) => {
		process.send(message + " " + work(5, 3000));
		process.disconnect();
	});
else
	main();
