package qgx.peer;

import com.fasterxml.jackson.core.io.SerializedString;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** Where the events of a source go, made once. */
record Route(SerializedString source, byte[] key) {
    /** Retention class, index group and protocol, as QGX sends them along. */
    static final List<Header> SYSLOG = headers("syslog");

    static final List<Header> NDJSON = headers("ndjson");

    static Route of(String tenant, String source) {
        return new Route(new SerializedString(source), (tenant + "/" + source).getBytes(StandardCharsets.UTF_8));
    }

    private static List<Header> headers(String protocol) {
        return List.of(header("c", "30d"), header("g", "1"), header("p", protocol));
    }

    private static Header header(String name, String value) {
        return new RecordHeader(name, value.getBytes(StandardCharsets.UTF_8));
    }
}
