import com.sun.net.httpserver.HttpServer;
import java.io.InputStream;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.util.concurrent.Executors;

/** Servers of every kind that Java has, which know nothing of i3. Prints "NAME N" for each, the last being "port N", and "CALLER NAME"
 * for each who comes. All but HTTP give back what comes, up to its end. */
class Server {
    static void came(String name, SocketAddress who) {
        System.out.println(((InetSocketAddress) who).getAddress().getHostAddress() + " " + name);
    }

    interface Code {
        void run() throws Exception;
    }

    static void thread(Code code) {
        Thread t = new Thread(() -> {
            try {
                code.run();
            } catch (Exception e) {
                e.printStackTrace();
            }
        });
        t.setDaemon(true);
        t.start();
    }

    /** java.net: a thread for each connection. */
    static int plain() throws Exception {
        var server = new ServerSocket(0, 200);
        thread(() -> {
            for (;;) {
                var s = server.accept();
                came("plain", s.getRemoteSocketAddress());
                thread(() -> {
                    try (s) {
                        s.getInputStream().transferTo(s.getOutputStream());
                    }
                });
            }
        });
        return server.getLocalPort();
    }

    /** java.nio: one thread, one selector. */
    static int selecting(ProtocolFamily family) throws Exception {
        var server = family == null ? ServerSocketChannel.open() : ServerSocketChannel.open(family);
        var selector = Selector.open();
        server.bind(new InetSocketAddress(0), 200).configureBlocking(false).register(selector, SelectionKey.OP_ACCEPT);
        thread(() -> {
            var buf = ByteBuffer.allocate(65536);
            for (;; selector.selectedKeys().clear()) {
                selector.select();
                for (var key : selector.selectedKeys()) {
                    if (key.isAcceptable()) {
                        var s = server.accept();
                        came("selecting", s.getRemoteAddress());
                        s.configureBlocking(false).register(selector, SelectionKey.OP_READ);
                        continue;
                    }
                    var s = (SocketChannel) key.channel();
                    if (s.read(buf.clear()) < 0)
                        s.close();
                    else
                        for (buf.flip(); buf.hasRemaining();)
                            s.write(buf);
                }
            }
        });
        return ((InetSocketAddress) server.getLocalAddress()).getPort();
    }

    /** java.nio.channels.Asynchronous*: completion handlers. */
    static int asynchronous() throws Exception {
        var server = AsynchronousServerSocketChannel.open().bind(new InetSocketAddress(0), 200);
        server.accept(null, new CompletionHandler<AsynchronousSocketChannel, Void>() {
            public void completed(AsynchronousSocketChannel s, Void nothing) {
                server.accept(null, this);
                try {
                    came("asynchronous", s.getRemoteAddress());
                    echo(s, ByteBuffer.allocate(65536));
                } catch (Exception e) {
                    e.printStackTrace();
                }
            }

            public void failed(Throwable e, Void nothing) {
                e.printStackTrace();
            }
        });
        return ((InetSocketAddress) server.getLocalAddress()).getPort();
    }

    static void echo(AsynchronousSocketChannel s, ByteBuffer buf) {
        s.read(buf.clear(), null, new CompletionHandler<Integer, Void>() {
            public void completed(Integer n, Void nothing) {
                try {
                    if (n < 0) {
                        s.close();
                        return;
                    }
                    for (buf.flip(); buf.hasRemaining();)
                        s.write(buf).get();
                    echo(s, buf);
                } catch (Exception e) {
                    e.printStackTrace();
                }
            }

            public void failed(Throwable e, Void nothing) {
            }
        });
    }

    static int datagrams(boolean channel) throws Exception {
        if (!channel) {
            var s = new DatagramSocket(0);
            thread(() -> {
                for (var p = new DatagramPacket(new byte[2000], 2000);; p.setLength(2000)) {
                    s.receive(p);
                    came("packets", p.getSocketAddress());
                    s.send(p);
                }
            });
            return s.getLocalPort();
        }
        var c = DatagramChannel.open().bind(new InetSocketAddress(0));
        thread(() -> {
            for (var buf = ByteBuffer.allocate(2000);;) {
                var from = c.receive(buf.clear());
                came("datagrams", from);
                c.send(buf.flip(), from);
            }
        });
        return ((InetSocketAddress) c.getLocalAddress()).getPort();
    }

    static int web() throws Exception {
        var server = HttpServer.create(new InetSocketAddress(0), 200);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", x -> {
            came("web", x.getRemoteAddress());
            long n = 0;
            try (InputStream in = x.getRequestBody()) {
                for (byte[] b = new byte[65536];;) {
                    int got = in.read(b);
                    if (got < 0)
                        break;
                    n += got;
                }
            }
            byte[] text = (x.getRequestURI().getPath() + " " + n).getBytes();
            x.sendResponseHeaders(200, text.length);
            x.getResponseBody().write(text);
            x.close();
        });
        server.start();
        return server.getAddress().getPort();
    }

    public static void main(String[] arg) throws Exception {
        System.out.println("plain " + plain());
        System.out.println("selecting " + selecting(null));
        System.out.println("inet " + selecting(StandardProtocolFamily.INET));
        System.out.println("asynchronous " + asynchronous());
        System.out.println("packets " + datagrams(false));
        System.out.println("datagrams " + datagrams(true));
        System.out.println("port " + web());
        Thread.sleep(Long.MAX_VALUE);
    }
}
