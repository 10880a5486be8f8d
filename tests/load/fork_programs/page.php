<?php
// SPDX-License-Identifier: BSD-3-Clause
// page.php: a page that depends only on the number in the query. The header X-Process
// names the process that made it.
header("X-Process: " . getmypid());
header("Content-Type: text/plain");
$n = (int)$_SERVER["QUERY_STRING"];
$table = [];
for ($i = 0; $i < 3000; $i++)
	$table["key " . ($i * $n % 3001)] = str_repeat(chr(97 + $i % 26), $i % 200) . $i;
ksort($table);
$lines = array_map(fn($key, $value) => "$key: " . strrev($value),
	array_keys($table), $table);
$text = preg_replace_callback('/\d+/', fn($m) => (string)($m[0] * 2),
	implode("\n", $lines));
$body = file_get_contents("php://input");
echo "page $n ", md5($text), " ", strlen($body), " ", md5($body), "\n",
	substr($text, $n * 10, 5000 + $n * 100);
