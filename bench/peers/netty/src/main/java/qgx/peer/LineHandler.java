package qgx.peer;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.handler.codec.TooLongFrameException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Lines of one connection: each becomes an event, in place, without a message object of its own. */
final class LineHandler extends ByteToMessageDecoder {
    private static final int LONGEST = 1024 * 1024;

    private final Publisher publisher;
    private final String tenant;
    private final Draft draft = new Draft();
    private final Syslog syslog = new Syslog();
    private Ndjson ndjson;
    private EventWriter writer;
    private byte[] line = new byte[4096];

    LineHandler(Publisher publisher, String tenant) {
        this.publisher = publisher;
        this.tenant = tenant;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext context) throws IOException {
        String peer = ((InetSocketAddress) context.channel().remoteAddress()).getAddress().getHostAddress();
        writer = new EventWriter(tenant, peer);
    }

    @Override
    protected void decode(ChannelHandlerContext context, ByteBuf in, List<Object> out) throws IOException {
        while (true) {
            int start = in.readerIndex();
            int end = in.indexOf(start, in.writerIndex(), (byte) '\n');
            if (end < 0) {
                if (in.readableBytes() > LONGEST) {
                    throw new TooLongFrameException("a line is longer than " + LONGEST + " bytes");
                }
                return;
            }
            take(context, in, end - start);
            in.skipBytes(1);
        }
    }

    /** A last line without newline counts. */
    @Override
    protected void decodeLast(ChannelHandlerContext context, ByteBuf in, List<Object> out) throws Exception {
        decode(context, in, out);
        if (in.isReadable()) {
            take(context, in, in.readableBytes());
        }
    }

    private void take(ChannelHandlerContext context, ByteBuf in, int length) throws IOException {
        if (line.length < length) {
            line = new byte[Math.max(length, 2 * line.length)];
        }
        in.readBytes(line, 0, length);
        if (length > 0 && line[length - 1] == '\r') {
            length--;
        }
        if (length == 0) {
            return;
        }
        byte[] text = line;
        if (!Text.isAscii(text, length)) {
            // What is no UTF-8 is replaced; what is comes back as it was.
            text = new String(text, 0, length, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_8);
            length = text.length;
        }
        draft.begin(text, length);
        if (text[0] == '{') {
            if (ndjson == null) {
                ndjson = new Ndjson();
            }
            ndjson.read(draft);
        } else {
            syslog.read(draft);
        }
        Route route = writer.write(draft);
        publisher.send(context.channel(), route.key(), writer.taken(), draft.json ? Route.NDJSON : Route.SYSLOG);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        System.err.println(context.channel().remoteAddress() + ": " + cause);
        context.close();
    }
}
