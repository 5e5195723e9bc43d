# Perl: hashes, arrays of arrays, string building, splitting and sorting.
# The argument says how much; 1 takes a second or two. Prints a checksum of the results.
use strict;
use warnings;

my $scale = $ARGV[0];
my $state = 12345;

sub number { $state = ($state * 1103515245 + 12345) % 2147483648; return $state >> 16; }

sub count_words {
    my %count;
    $count{ 'word' . number() }++ for 1 .. $_[0];
    my @most = (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[ 0 .. 4 ];
    return join ',', @most;
}

sub records {
    my @records;
    push @records, { id => $_, name => 'n' . number(), tags => [ map { number() } 1 .. 5 ] }
        for 1 .. $_[0];
    my @sorted = sort { $a->{name} cmp $b->{name} || $a->{id} <=> $b->{id} } @records;
    my $sum = 0;
    $sum += $sorted[$_]{tags}[ $_ % 5 ] * ( $_ % 7 ) for 0 .. $#sorted;
    return $sum;
}

sub text {
    my $total = 0;
    for ( 1 .. $_[0] ) {
        my $line = join ',', map { number() . ':' . 'x' x ( $_ % 19 ) } 1 .. 40;
        $line =~ s/x+/y/g;
        my @fields = split /,/, $line;
        $total += length for @fields;
    }
    return $total;
}

print count_words( int( 700000 * $scale ) ), "\n";
print records( int( 90000 * $scale ) ), "\n";
print text( int( 25000 * $scale ) ), "\n";
