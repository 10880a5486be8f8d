<?php
// SPDX-License-Identifier: BSD-3-Clause
// work.php: many kinds of work for php.
class Node {
	public $next, $text;
	function __construct($text, $next) { $this->text = $text; $this->next = $next; }
}
$table = [];
for ($i = 0; $i < 100000; $i++)
	$table["key " . ($i * 7919 % 20011)][] = $i;
ksort($table);
echo count($table), " ", hash("sha256", json_encode($table)), "\n";
echo hash("sha256", serialize(unserialize(serialize($table)))), "\n";
for ($round = 0; $round < 20; $round++) {
	$first = $last = new Node("x", null);
	for ($i = 0; $i < 5000; $i++)
		$first = new Node(str_repeat("y", $i % 200), $first);
	$last->next = $first;
	unset($first, $last);
	gc_collect_cycles();
}
$text = implode("\n", array_map(fn($i) => "line $i " . md5($i), range(1, 20000)));
echo preg_match_all('/([a-f]{2,})(\d+)/', $text), " ", strlen(preg_replace_callback('/\d+/',
	fn($m) => strrev($m[0]) . "!", $text)), "\n";
function numbers($n) { for ($i = 0; $i < $n; $i++) yield $i => str_repeat("z", $i % 100); }
$sum = 0;
foreach (numbers(50000) as $i => $s)
	$sum += strlen($s) * $i;
echo $sum, "\n", number_format(array_sum(range(1, 1e5)) / 3, 4), "\n";
echo shell_exec("seq 1000 | sort -r | head -n 2");
if (function_exists("pcntl_fork")) {
	for ($n = 1; $n <= 6; $n++) {
		$child = pcntl_fork();
		if ($child == 0) {
			foreach ($table as $key => $list)
				$table[$key] = array_map(fn($x) => "$x child $n", $list);
			file_put_contents("child$n", hash("md5", json_encode($table)));
			exit($n);
		}
		pcntl_waitpid($child, $status);
		echo pcntl_wexitstatus($status), " ", file_get_contents("child$n"), "\n";
	}
}
try { intdiv(1, 0); } catch (DivisionByZeroError $e) { echo $e->getMessage(), "\n"; }
echo hash("sha256", json_encode($table)), "\n";
