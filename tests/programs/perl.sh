# perl: hashes, string growth, sorting, regular expressions, closures, fork.
. "$(dirname "$0")/tools.sh"
need perl
export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0
on perl -e '
    use strict; use warnings;
    my %count; my $text = "";
    for my $i (1 .. 200000) { $count{"key" . ($i * 7919 % 50021)}++; $text .= chr(97 + $i % 26) }
    my @sorted = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
    print scalar(@sorted), " @sorted[0 .. 20]\n";
    my @words = $text =~ /([aeiou][^aeiou]+)/g;
    print scalar(@words), " ", length($text), "\n";
    my @closures = map { my $n = $_; sub { $n += shift } } 1 .. 20000;
    my $sum = 0; $sum += $_->(3) for @closures; print "$sum\n";
    my @grid = map { [map { $_ * 3 % 17 } 1 .. 300] } 1 .. 300;
    print join(",", map { my $s = 0; $s += $_ for @$_; $s } @grid[0 .. 9]), "\n";
    my $pid = open(my $child, "-|") // die;
    if (!$pid) { my @x = (1) x 100000; print scalar(@x), "\n"; exit 0 }
    print "child ", <$child>; close $child;
    $text =~ s/(.)(.)/$2$1/g; print unpack("%32C*", $text), "\n";
'
