# SPDX-License-Identifier: BSD-3-Clause
# work.pl: many kinds of work for perl. The output is the same every time.
use strict;
use warnings;
use Config;
use Data::Dumper;
use Digest::SHA qw(sha256_hex);
use Encode;
use IO::Socket::UNIX;
use List::Util qw(reduce shuffle sum);
use Math::BigInt;
use POSIX qw(strftime :sys_wait_h);
use Socket;
use Storable qw(dclone freeze thaw);

$| = 1;
$Data::Dumper::Sortkeys = 1;

# Trees: copied, frozen and compared.
my %tree = map {
	my $n = $_;
	"key $n" => { n => $n, list => [1 .. $n % 17], text => "x" x ($n % 300) }
} 1 .. 5000;
my $copy = dclone(\%tree);
my $thawed = thaw(freeze($copy));
delete $copy->{"key $_"} for grep { $_ % 3 } 1 .. 5000;
print scalar(keys %$copy), "\n";
print sha256_hex(Dumper($thawed)) eq sha256_hex(Dumper(\%tree)) ? "same\n" : "other\n";

# Text: expressions, sorting, encodings, formats, packing.
my $text = join "\n",
    map { sprintf "%05d %s %x", $_, scalar reverse("line $_"), $_ * 7919 } 1 .. 20000;
my %count;
$count{length $1}++ while $text =~ /([a-f0-9]{3,})/g;
print join(" ", map { "$_:$count{$_}" } sort { $a <=> $b } keys %count), "\n";
(my $changed = $text) =~ s/(\d+) (enil)?/<$1>/g;
print sha256_hex($changed), "\n";
print sha256_hex(join ",", sort { $b cmp $a } split /\n/, $text), "\n";
my $wide = "\x{263a}\x{e4}" x 10000;
print length(encode("UTF-8", $wide)), "\n";
print decode("UTF-16BE", encode("UTF-16BE", $wide)) eq $wide, "\n";
print sum(unpack "N*", pack "N*", 1 .. 50000), "\n";
my $nested = qr/\((?:[^()]++|(?R))*\)/;
print length(("(" x 400 . ")" x 400) =~ /$nested/ ? $& : ""), "\n";
my $factorial = reduce { $a * $b } map { Math::BigInt->new($_) } 1 .. 300;
print sha256_hex("$factorial"), "\n";
print strftime("%Y-%m-%d", gmtime 86400 * 365), "\n";

# Closures, objects with destructors, exceptions, evaluated code, files, sockets.
{
	package Counted;
	our $gone = 0;
	sub new { my ($class, @rest) = @_; return bless {@rest}, $class }
	sub DESTROY { $gone++ }
}
{
	my @objects = map { Counted->new(n => $_, text => "y" x $_) } 1 .. 2000;
	splice @objects, 500, 1000;
	print "$Counted::gone\n";
}
print "$Counted::gone\n";
my @adders = map { my $n = $_; sub { $_[0] + $n } } 1 .. 1000;
print sum(map { $_->(1) } @adders), "\n";
for my $n (1 .. 300) {
	eval { die { n => $n } if $n % 2; 1 } or do { $@->{n} == $n or die };
	eval "sub made$n { return $n * 2 } 1" or die;
}
print main->can("made300")->(), "\n";
open my $file, "+>", "file" or die;
print $file "$_ " . "z" x ($_ % 1000) . "\n" for 1 .. 5000;
seek $file, 0, 0;
print sum(map { length } <$file>), "\n";
close $file;
socketpair(my $near, my $far, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;

# Children that change their copies and report it, one after the other and at once.
for my $n (1 .. 8) {
	my $child = fork // die;
	if (!$child) {
		close $near;
		$tree{$_}{text} .= "child $n" for keys %tree;
		print $far "$n ", sum(map { length $_->{text} } values %tree), "\n";
		close $far;
		exit $n;
	}
	print scalar <$near>;
	waitpid $child, 0;
	print $? >> 8, "\n";
}
my %child;
for my $n (1 .. 10) {
	my $child = fork // die;
	if (!$child) {
		my @list = map { "a" x $_ } 1 .. 2000;
		exit scalar(@list) % 7 + $n;
	}
	$child{$child} = $n;
}
my @ended;
while ((my $pid = wait) > 0) { $ended[$child{$pid}] = $? >> 8 }
print "@ended[1 .. 10]\n";
print `echo from a shell; exit 3`, $? >> 8, "\n";
open my $sort, "|-", "sort -n | tail -n 2" or die;
print $sort "$_\n" for shuffle(1 .. 3000);
close $sort;
print sum(map { length $_->{text} } values %tree), "\n";

# Threads: each has an interpreter of its own, with a copy of all data.
if ($Config{useithreads}) {
	require threads;
	my @threads = map {
		my $n = $_;
		threads->create(sub {
			sum(map { length } map { "t" x ($_ % 50) } 1 .. 3000 * $n);
		});
	} 1 .. 4;
	print join(" ", map { $_->join } @threads), "\n";
}
