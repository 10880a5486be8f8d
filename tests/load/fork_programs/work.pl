# SPDX-License-Identifier: BSD-3-Clause
# work.pl: 300 children, by system, backticks and fork, while the heap changes.
use strict;
use warnings;

$| = 1;
my %table = map { $_ => "value $_ " . "x" x ($_ % 50) } 1 .. 20000;

sub sum {
	my $sum = 0;
	$sum = ($sum * 31 + length($table{$_})) % 1000003 for 1 .. 20000;
	return $sum;
}

for my $i (1 .. 100) {
	# A program without a shell gives its status, one with a shell its output.
	system("sh", "-c", "exit $i");
	my $status = $? >> 8;
	my $line = `echo $i "$table{$i}" | tr a-z A-Z`;
	chomp $line;
	# A child by fork has the heap of this moment, and changes its copy.
	my $child = open(my $from, "-|") // die "fork: $!";
	if ($child == 0) {
		$table{$_} = "child's" for 1 .. $i * 10;
		print sum(), "\n";
		exit($i % 7);
	}
	$table{$i * 100} .= " changed $i";
	my $answer = <$from>;
	chomp $answer;
	close($from);
	print "$i $status $line; $answer ", $? >> 8, "\n";
}
print sum(), "\n";
print join(",", map { `expr $_ + 1` =~ s/\n//r } 1 .. 10), "\n";
