/* SPDX-License-Identifier: BSD-3-Clause */
/* Work.java: many kinds of work for java. */
import java.io.*;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.*;
import java.util.stream.*;
import java.util.zip.*;

public class Work {
	static String digest(byte[] data) throws Exception {
		byte[] sum = MessageDigest.getInstance("SHA-256").digest(data);
		return new BigInteger(1, sum).toString(16);
	}

	/* Compressors and direct buffers allocate with malloc. */
	static int outside(int seed) throws Exception {
		byte[] input = new byte[200000];
		new Random(seed).nextBytes(input);
		Arrays.fill(input, 1000, 150000, (byte)seed);
		Deflater deflater = new Deflater(9);
		deflater.setInput(input);
		deflater.finish();
		byte[] packed = new byte[300000];
		int length = deflater.deflate(packed);
		deflater.end();
		Inflater inflater = new Inflater();
		inflater.setInput(packed, 0, length);
		byte[] output = new byte[input.length];
		inflater.inflate(output);
		inflater.end();
		ByteBuffer direct = ByteBuffer.allocateDirect(input.length);
		direct.put(output).flip();
		for (byte b : input)
			if (direct.get() != b)
				throw new IllegalStateException();
		return length;
	}

	public static void main(String[] arguments) throws Exception {
		Map<String, List<Integer>> map = new TreeMap<>();
		for (int i = 0; i < 200000; i++)
			map.computeIfAbsent("key " + i * 7919L % 5003, k -> new ArrayList<>()).add(i);
		System.out.println(map.size() + " " + digest(map.toString().getBytes()));
		ExecutorService pool = Executors.newFixedThreadPool(8);
		List<Future<Integer>> results = new ArrayList<>();
		for (int i = 0; i < 200; i++) {
			int seed = i;
			results.add(pool.submit(() -> outside(seed)));
		}
		long sum = 0;
		for (Future<Integer> result : results)
			sum += result.get();
		pool.shutdown();
		System.out.println(sum);
		System.out.println(IntStream.range(0, 1000000).parallel()
		    .filter(i -> i % 7 == 3).asLongStream().sum());
		System.gc();
		Path path = Paths.get("file");
		try (FileChannel file = FileChannel.open(path, StandardOpenOption.CREATE,
		    StandardOpenOption.READ, StandardOpenOption.WRITE)) {
			ByteBuffer mapped = file.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
			for (int i = 0; i < 1 << 20; i++)
				mapped.put((byte)(i * i));
		}
		System.out.println(digest(Files.readAllBytes(path)));
		try (ZipOutputStream zip = new ZipOutputStream(new FileOutputStream("x.zip"))) {
			for (int i = 0; i < 100; i++) {
				zip.putNextEntry(new ZipEntry("entry" + i));
				zip.write("content ".repeat(i * 10).getBytes());
			}
		}
		try (ZipFile zip = new ZipFile("x.zip")) {
			System.out.println(zip.stream().mapToLong(ZipEntry::getSize).sum());
		}
		for (int i = 0; i < 5; i++) {
			Process process = new ProcessBuilder("sh", "-c",
			    "echo child; sort | tail -n 1; exit " + i).start();
			try (Writer writer =
			    new OutputStreamWriter(process.getOutputStream())) {
				for (int j = 0; j < 1000; j++)
					writer.write(j * i + "\n");
			}
			byte[] output = process.getInputStream().readAllBytes();
			System.out.println(new String(output).trim() + process.waitFor());
		}
		Matcher matcher = Pattern.compile("(a+)(b+)").matcher("aabbab".repeat(1000));
		System.out.println(matcher.results().mapToInt(m -> m.group(1).length()).sum());
		System.out.println(BigInteger.TWO.pow(5000).mod(BigInteger.valueOf(1000003)));
		try {
			deep(0);
		} catch (StackOverflowError e) {
			System.out.println("deep");
		}
	}

	static int deep(int n) {
		return deep(n + 1) + 1;
	}
}
