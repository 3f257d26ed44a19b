package qgx.peer;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollEventLoopGroup;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import java.util.concurrent.TimeUnit;

/**
 * Lines over TCP to Kafka: {@code java -jar netty-peer.jar PORT SERVERS TOPIC TENANT}.
 *
 * <p>An event loop reads, parses, writes the JSON and hands it to the producer; nothing changes threads on the way.
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws InterruptedException {
        if (args.length != 4) {
            System.err.println("usage: java -jar netty-peer.jar PORT SERVERS TOPIC TENANT");
            System.exit(2);
        }
        int port = Integer.parseInt(args[0]);
        Publisher publisher = new Publisher(args[1], args[2]);
        String tenant = args[3];

        boolean epoll = Epoll.isAvailable();
        EventLoopGroup acceptor = epoll ? new EpollEventLoopGroup(1) : new NioEventLoopGroup(1);
        EventLoopGroup workers = epoll ? new EpollEventLoopGroup() : new NioEventLoopGroup();
        Class<? extends ServerChannel> channel =
                epoll ? EpollServerSocketChannel.class : NioServerSocketChannel.class;
        Channel server = new ServerBootstrap()
                .group(acceptor, workers)
                .channel(channel)
                .option(ChannelOption.SO_BACKLOG, 1024)
                .childOption(ChannelOption.SO_KEEPALIVE, true)
                // Few wake-ups under load: as much as the socket has, up to 256 KiB at once.
                .childOption(ChannelOption.RCVBUF_ALLOCATOR, new AdaptiveRecvByteBufAllocator(4096, 65_536, 262_144))
                .childHandler(new ChannelInitializer<>() {
                    @Override
                    protected void initChannel(Channel accepted) {
                        accepted.pipeline().addLast(new LineHandler(publisher, tenant));
                    }
                })
                .bind("127.0.0.1", port)
                .sync()
                .channel();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            server.close().awaitUninterruptibly();
            workers.shutdownGracefully(0, 5, TimeUnit.SECONDS).awaitUninterruptibly();
            acceptor.shutdownGracefully(0, 5, TimeUnit.SECONDS).awaitUninterruptibly();
            publisher.close();
        }));
        System.out.println(server.localAddress());
        server.closeFuture().await();
    }
}
