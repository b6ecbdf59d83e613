import java.io.IOException;
import java.net.*;
import java.net.http.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

/** What Java's clients are asked to do with bob's servers; each line of output is one that did not.    Client HOST ME NAME=PORT... */
class Client {
    static String host, me;
    static final Map<String, Integer> port = new HashMap<>();
    static final Duration LIMIT = Duration.ofSeconds(20);
    static final int MS = 20000;

    interface Code {
        void run() throws Exception;
    }

    static void equal(Object got, Object wanted) {
        if (!Objects.equals(got, wanted))
            throw new AssertionError("got " + got + ", wanted " + wanted);
    }

    static void fails(Class<? extends Exception> how, Code code) throws Exception {
        try {
            code.run();
        } catch (Exception e) {
            if (how.isInstance(e))
                return;
            throw e;
        }
        throw new AssertionError("did not fail with " + how);
    }

    static String uri(String path) {
        return "http://" + host + ":" + port.get("port") + path;
    }

    static void names() throws Exception {
        var all = InetAddress.getAllByName(host);
        equal(Stream.of(all).map(a -> a instanceof Inet4Address ? 4 : 6).sorted().toList(),
            Boolean.getBoolean("java.net.preferIPv4Stack") ? List.of(4) : List.of(4, 6));
        for (var a : all) {
            equal(InetAddress.getByAddress(a.getAddress()).getHostName(), host);
            equal(InetAddress.getByAddress(a.getAddress()).getCanonicalHostName(), host);
        }
        fails(UnknownHostException.class, () -> InetAddress.getByName("nobody-knows.i3"));
    }

    /** HTTP/1.1, and an offer of h2c in the first request, as is Java's way. */
    static void http(HttpClient.Version version) throws Exception {
        var client = HttpClient.newBuilder().version(version).connectTimeout(LIMIT).build();
        var request = HttpRequest.newBuilder(URI.create(uri("/sync"))).timeout(LIMIT).build();
        equal(client.send(request, HttpResponse.BodyHandlers.ofString()).body(), "/sync 0");
        var many = IntStream.range(0, 200).mapToObj(i -> client.sendAsync(
            HttpRequest.newBuilder(URI.create(uri("/" + i))).timeout(LIMIT).build(), HttpResponse.BodyHandlers.ofString())).toList();
        for (int i = 0; i < many.size(); i++)
            equal(many.get(i).get().body(), "/" + i + " 0");
        var post = HttpRequest.newBuilder(URI.create(uri("/post"))).timeout(LIMIT)
            .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[5_000_000])).build();
        equal(client.send(post, HttpResponse.BodyHandlers.ofString()).body(), "/post 5000000");
        fails(ConnectException.class, () -> client.send(
            HttpRequest.newBuilder(URI.create("http://" + host + ":64999/")).timeout(LIMIT).build(), HttpResponse.BodyHandlers.ofString()));
    }

    static void urlConnection() throws Exception {
        for (int i = 0; i < 20; i++) {
            var c = (HttpURLConnection) new URL(uri("/u" + i)).openConnection();
            c.setConnectTimeout(MS);
            c.setReadTimeout(MS);
            equal(new String(c.getInputStream().readAllBytes()), "/u" + i + " 0");
        }
    }

    /** What goes there comes back; both ends know each other's virtual address. */
    static void socket(String kind, InetAddress to) throws Exception {
        try (var s = new Socket()) {
            s.setTcpNoDelay(true);
            s.setKeepAlive(true);
            s.setSoTimeout(MS);
            s.connect(new InetSocketAddress(to, port.get(kind)), MS);
            equal(s.getInetAddress(), to);
            equal(s.getPort(), port.get(kind));
            if (to instanceof Inet4Address)
                equal(s.getLocalAddress().getHostAddress(), me);
            equal(s.getTcpNoDelay(), true);
            equal(s.getKeepAlive(), true);
            byte[] data = new byte[1 << 20];
            new Random(7).nextBytes(data);
            var writer = CompletableFuture.runAsync(() -> {
                try {
                    s.getOutputStream().write(data);
                    s.shutdownOutput();
                } catch (IOException e) {
                    throw new CompletionException(e);
                }
            });
            equal(Arrays.equals(s.getInputStream().readAllBytes(), data), true);
            writer.get();
        }
    }

    static void sockets() throws Exception {
        for (var to : InetAddress.getAllByName(host))
            for (var kind : new String[] {"plain", "selecting", "asynchronous"})
                socket(kind, to);
        for (var to : InetAddress.getAllByName(host))
            if (to instanceof Inet4Address)
                socket("inet", to);
        fails(ConnectException.class, () -> new Socket(host, 64999));
        fails(UnknownHostException.class, () -> new Socket("nobody-knows.i3", 80));
    }

    /** 200 channels which do not block, of one selector; each says a line and hears it. */
    static void selector(ProtocolFamily family) throws Exception {
        var selector = Selector.open();
        var to = new InetSocketAddress(Stream.of(InetAddress.getAllByName(host)).filter(a -> a instanceof Inet4Address).findFirst().get(),
            port.get("selecting"));
        int left = 200;
        for (int i = 0; i < left; i++) {
            var s = family == null ? SocketChannel.open() : SocketChannel.open(family);
            s.configureBlocking(false).register(selector, SelectionKey.OP_CONNECT, ByteBuffer.wrap(String.format("%06d", i).getBytes()));
            s.connect(to);
        }
        for (var buf = ByteBuffer.allocate(100); left > 0; selector.selectedKeys().clear()) {
            if (selector.select(MS) == 0)
                throw new AssertionError(left + " channels say nothing");
            for (var key : selector.selectedKeys()) {
                var s = (SocketChannel) key.channel();
                if (key.isConnectable()) {
                    equal(s.finishConnect(), true);
                    equal(s.getRemoteAddress(), to);
                    s.write(((ByteBuffer) key.attachment()).duplicate());
                    key.interestOps(SelectionKey.OP_READ);
                } else {
                    s.read(buf.clear());
                    equal(buf.flip(), key.attachment());
                    s.close();
                    left--;
                }
            }
        }
    }

    static void asynchronous() throws Exception {
        var to = new InetSocketAddress(host, port.get("asynchronous"));
        for (int i = 0; i < 20; i++) {
            try (var s = AsynchronousSocketChannel.open()) {
                s.connect(to).get(MS, TimeUnit.MILLISECONDS);
                equal(((InetSocketAddress) s.getRemoteAddress()).getPort(), to.getPort());
                s.write(ByteBuffer.wrap("there and back".getBytes())).get();
                var buf = ByteBuffer.allocate(100);
                equal(s.read(buf).get(MS, TimeUnit.MILLISECONDS), 14);
            }
        }
        try (var s = AsynchronousSocketChannel.open()) {
            fails(ExecutionException.class, () -> s.connect(new InetSocketAddress(host, 64999)).get(MS, TimeUnit.MILLISECONDS));
        }
    }

    static void packets(String kind) throws Exception {
        var to = InetAddress.getByName(host);
        try (var s = new DatagramSocket()) {
            s.setSoTimeout(MS);
            for (boolean connected : new boolean[] {false, true}) {
                if (connected)
                    s.connect(to, port.get(kind));
                byte[] text = "there and back".getBytes();
                s.send(new DatagramPacket(text, text.length, to, port.get(kind)));
                var p = new DatagramPacket(new byte[100], 100);
                s.receive(p);
                equal(new String(p.getData(), 0, p.getLength()), "there and back");
                equal(p.getAddress(), to);
                equal(p.getPort(), port.get(kind));
            }
            equal(s.getRemoteSocketAddress(), new InetSocketAddress(to, port.get(kind)));
        }
        try (var c = DatagramChannel.open()) {
            c.connect(new InetSocketAddress(to, port.get(kind)));
            c.write(ByteBuffer.wrap("again".getBytes()));
            c.configureBlocking(false);
            var selector = Selector.open();
            c.register(selector, SelectionKey.OP_READ);
            equal(selector.select(MS), 1);
            var buf = ByteBuffer.allocate(100);
            equal(c.read(buf), 5);
        }
    }

    static void test(String name, Code code) {
        try {
            code.run();
        } catch (Throwable e) {
            System.out.print(name + ": ");
            e.printStackTrace(System.out);
        }
    }

    public static void main(String[] arg) {
        host = arg[0];
        me = arg[1];
        for (int i = 2; i < arg.length; i++)
            port.put(arg[i].split("=")[0], Integer.valueOf(arg[i].split("=")[1]));
        test("names", Client::names);
        test("http 1.1", () -> http(HttpClient.Version.HTTP_1_1));
        test("http 2", () -> http(HttpClient.Version.HTTP_2));
        test("HttpURLConnection", Client::urlConnection);
        test("sockets", Client::sockets);
        test("selector", () -> selector(null));
        test("selector, IPv4 alone", () -> selector(StandardProtocolFamily.INET));
        test("asynchronous", Client::asynchronous);
        test("packets", () -> packets("packets"));
        test("datagrams", () -> packets("datagrams"));
        System.exit(0);
    }
}
