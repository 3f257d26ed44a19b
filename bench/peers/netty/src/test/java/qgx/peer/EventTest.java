package qgx.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import org.junit.jupiter.api.Test;

/** The same work as QGX does: these lines and what becomes of them are those of its own tests. */
class EventTest {
    private static final String MADE = "\\{\"id\":\"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\","
            + "\"tenant\":\"t_1\",";

    private static void check(String line, String expect) throws IOException {
        byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
        Draft draft = new Draft();
        draft.begin(bytes, bytes.length);
        if (bytes[0] == '{') {
            new Ndjson().read(draft);
        } else {
            new Syslog().read(draft);
        }
        EventWriter writer = new EventWriter("t_1", "127.0.0.1");
        Route route = writer.write(draft);
        String made = new String(writer.taken(), StandardCharsets.UTF_8);
        assertTrue(made.matches(MADE + ".*"), made);
        String rest = made.replaceFirst(MADE, "").replaceFirst("\"received_at\":\"[^\"]{30}\",", "");
        if (!draft.timed) {
            rest = rest.replaceFirst("\"ts\":\"[^\"]{30}\",", "");
        }
        assertEquals(expect, rest);
        assertTrue(made.contains("\"source\":\"" + route.source().getValue()), made);
        assertEquals("t_1/" + route.source().getValue(), new String(route.key(), StandardCharsets.UTF_8));
    }

    @Test
    void rfc5424() throws IOException {
        check(
                "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\" "
                        + "eventSource=\"App\\\"li\\]c\"][b@1 x=\"y\"] \ufeffAn application event",
                "\"source\":\"mymachine.example.com\",\"ts\":\"2003-10-11T22:14:15.003000000Z\",\"kind\":\"log\","
                        + "\"level\":\"notice\",\"message\":\"An application event\",\"s\":{\"facility\":\"local4\","
                        + "\"app\":\"evntslog\",\"msgid\":\"ID47\",\"exampleSDID@32473/iut\":\"3\","
                        + "\"exampleSDID@32473/eventSource\":\"App\\\"li]c\",\"b@1/x\":\"y\"}}");
        check(
                "<34>1 2024-01-02T03:04:05.5+09:00 web-1 - - - - 부산 \"x\"",
                "\"source\":\"web-1\",\"ts\":\"2024-01-01T18:04:05.500000000Z\",\"kind\":\"log\",\"level\":\"critical\","
                        + "\"message\":\"부산 \\\"x\\\"\",\"s\":{\"facility\":\"auth\"}}");
        check(
                "<34>1 - - - - - -",
                "\"source\":\"127.0.0.1\",\"kind\":\"event\",\"level\":\"critical\",\"s\":{\"facility\":\"auth\"}}");
    }

    @Test
    void rfc3164() throws IOException {
        // The year is the latest that is possible.
        LocalDate day = LocalDate.now(Clock.ZONE).minusDays(3);
        String stamp = day.format(DateTimeFormatter.ofPattern("MMM ", Locale.ROOT)) + (day.getDayOfMonth() < 10 ? " " : "")
                + day.getDayOfMonth();
        check(
                "<38>" + stamp + " 06:55:46 LabSZ sshd[24200]: Invalid user",
                "\"source\":\"LabSZ\",\"ts\":\"" + day.minusDays(1) + "T21:55:46.000000000Z\",\"kind\":\"log\","
                        + "\"level\":\"info\",\"message\":\"Invalid user\",\"s\":{\"facility\":\"auth\","
                        + "\"app\":\"sshd\",\"pid\":\"24200\"}}");
        check(
                "<13>no header at all",
                "\"source\":\"127.0.0.1\",\"kind\":\"log\",\"level\":\"notice\",\"message\":\"no header at all\","
                        + "\"s\":{\"facility\":\"user\"}}");
        check("<999>x", "\"source\":\"127.0.0.1\",\"kind\":\"log\",\"message\":\"<999>x\"}");
    }

    @Test
    void ndjson() throws IOException {
        check(
                "{\"source\":\"pump-1\",\"ts\":\"2026-11-22T01:02:03.000000004Z\",\"level\":\"warn\","
                        + "\"message\":\"bearing hot\",\"temperature\":81.2,\"site\":\"부산\",\"ok\":true,"
                        + "\"a\":{\"b\":[1, 2]},\"none\":null}",
                "\"source\":\"pump-1\",\"ts\":\"2026-11-22T01:02:03.000000004Z\",\"kind\":\"log\",\"level\":\"warn\","
                        + "\"message\":\"bearing hot\",\"n\":{\"temperature\":81.2},\"s\":{\"site\":\"부산\","
                        + "\"a/b\":\"[1, 2]\"},\"b\":{\"ok\":true}}");
    }
}
