<?php // An echo server and its client in PHP.    echo.php serve | call HOST PORT ME
function must($ok, $what) {
    if (!$ok) {
        echo "$what\n";
        exit(1);
    }
}

if ($argv[1] === 'serve') {
    $listener = stream_socket_server('tcp://0.0.0.0:0');
    echo 'port ', explode(':', stream_socket_get_name($listener, false))[1], "\n";
    while ($c = stream_socket_accept($listener, -1, $peer)) {
        echo explode(':', $peer)[0], " php\n";
        fwrite($c, stream_get_contents($c));
        fclose($c);
    }
}
[, , $host, $port, $me] = $argv;
$c = stream_socket_client("tcp://$host:$port", $errno, $error, 10);
must($c, "connect: $error");
must(explode(':', stream_socket_get_name($c, false))[0] === $me, 'my own address');
must(stream_socket_get_name($c, true) === gethostbyname($host) . ":$port", 'the peer');
fwrite($c, str_repeat('z', 100000));
stream_socket_shutdown($c, STREAM_SHUT_WR);
must(strlen(stream_get_contents($c)) === 100000, 'not all came back');
must(gethostbyaddr(gethostbyname($host)) === $host, 'gethostbyaddr');
must(dns_get_record($host, DNS_A)[0]['ip'] === gethostbyname($host), 'dns_get_record');
must(!@stream_socket_client("tcp://$host:64999", $errno, $error, 10) && $errno === 111, "refused: $error");
