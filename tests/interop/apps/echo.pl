# An echo server and its client in Perl.    echo.pl serve | call HOST PORT ME
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::IP;
use IO::Select;
use Socket;

$| = 1;
if ($ARGV[0] eq 'serve') {    # a process for each connection
    my $listener = IO::Socket::INET->new(Listen => 50, LocalPort => 0, Proto => 'tcp') or die "listen: $@";
    print "port ", $listener->sockport, "\n";
    $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $c = $listener->accept or next;
        next if fork;
        print $c->peerhost, " perl\n";
        local $/;
        my $all = <$c>;
        print $c $all;
        exit;
    }
}
my (undef, $host, $port, $me) = @ARGV;
for my $kind ('IO::Socket::INET', 'IO::Socket::IP') {
    my $c = $kind->new(PeerHost => $host, PeerPort => $port, Timeout => 10) or die "$kind: $@";
    $c->sockhost eq $me or die "$kind: I am " . $c->sockhost;
    $c->peerport == $port or die "$kind: peer " . $c->peerport;
    $c->autoflush;
    print $c 'y' x 100000;
    shutdown $c, 1;
    IO::Select->new($c)->can_read(10) or die "$kind: nothing to read";
    local $/;
    length(<$c>) == 100000 or die "$kind: not all came back";
}
gethostbyaddr(inet_aton($host), AF_INET) eq $host or die 'gethostbyaddr';
IO::Socket::INET->new(PeerHost => $host, PeerPort => 64999, Timeout => 10) and die 'somebody is at 64999';
$!{ECONNREFUSED} or die "refused: $!";
