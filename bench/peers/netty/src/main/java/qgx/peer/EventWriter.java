package qgx.peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import com.fasterxml.jackson.core.util.ByteArrayBuilder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.SplittableRandom;

/** The JSON of an event, by one generator a connection. */
final class EventWriter {
    private static final SerializedString ID = new SerializedString("id");
    private static final SerializedString TENANT = new SerializedString("tenant");
    private static final SerializedString SOURCE = new SerializedString("source");
    private static final SerializedString TS = new SerializedString("ts");
    private static final SerializedString RECEIVED_AT = new SerializedString("received_at");
    private static final SerializedString KIND = new SerializedString("kind");
    private static final SerializedString LEVEL = new SerializedString("level");
    private static final SerializedString MESSAGE = new SerializedString("message");
    private static final SerializedString[] SECTIONS = {
        new SerializedString("n"), new SerializedString("s"), new SerializedString("b"),
    };
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

    private final SerializedString tenant;
    private final Route fallback;
    private final Names<Route> routes;
    private final ByteArrayBuilder out = new ByteArrayBuilder(8192);
    private final JsonGenerator json;
    private final Clock ts = new Clock();
    private final Clock received = new Clock();
    private final SplittableRandom random = new SplittableRandom();
    private final byte[] id = new byte[36];

    EventWriter(String tenant, String peer) throws IOException {
        this.tenant = new SerializedString(tenant);
        this.fallback = Route.of(tenant, peer);
        this.routes = new Names<>(source -> Route.of(tenant, source));
        this.json = new JsonFactory().createGenerator(out);
        this.json.setRootValueSeparator(new SerializedString(""));
    }

    /** Writes a draft; {@link #taken} has the bytes. */
    Route write(Draft draft) throws IOException {
        Instant now = Instant.now();
        Route route = route(draft);
        identify(now);
        json.writeStartObject();
        json.writeFieldName(ID);
        json.writeRawUTF8String(id, 0, id.length);
        json.writeFieldName(TENANT);
        json.writeString(tenant);
        json.writeFieldName(SOURCE);
        json.writeString(route.source());
        json.writeFieldName(TS);
        byte[] text = draft.timed
                ? ts.write(draft.seconds, draft.nanos)
                : ts.write(now.getEpochSecond(), now.getNano());
        json.writeRawUTF8String(text, 0, text.length);
        json.writeFieldName(RECEIVED_AT);
        text = received.write(now.getEpochSecond(), now.getNano());
        json.writeRawUTF8String(text, 0, text.length);
        body(draft);
        json.writeEndObject();
        return route;
    }

    /** What was written since the last call. */
    byte[] taken() throws IOException {
        json.flush();
        byte[] bytes = out.toByteArray();
        out.reset();
        return bytes;
    }

    private void body(Draft draft) throws IOException {
        json.writeFieldName(KIND);
        json.writeString(kind(draft));
        if (draft.level != null) {
            json.writeFieldName(LEVEL);
            json.writeString(draft.level);
        }
        if (draft.messageFrom >= 0) {
            json.writeFieldName(MESSAGE);
            json.writeUTF8String(draft.line, draft.messageFrom, draft.messageTo - draft.messageFrom);
        } else if (draft.messageText != null) {
            json.writeFieldName(MESSAGE);
            json.writeString(draft.messageText);
        }
        for (byte type = Draft.NUMBER; type <= Draft.BOOL; type++) {
            section(draft, type);
        }
    }

    private static String kind(Draft draft) {
        if (draft.kind != null) {
            return draft.kind;
        }
        if (draft.hasMessage()) {
            return "log";
        }
        for (int field = 0; field < draft.fields; field++) {
            if (draft.types[field] == Draft.NUMBER) {
                return "metric";
            }
        }
        return "event";
    }

    private void section(Draft draft, byte type) throws IOException {
        boolean open = false;
        for (int field = 0; field < draft.fields; field++) {
            if (draft.types[field] != type) {
                continue;
            }
            if (!open) {
                json.writeFieldName(SECTIONS[type]);
                json.writeStartObject();
                open = true;
            }
            json.writeFieldName(draft.names[field]);
            String text = draft.texts[field];
            if (text == null) {
                json.writeUTF8String(draft.line, draft.froms[field], draft.tos[field] - draft.froms[field]);
            } else if (type == Draft.STRING) {
                json.writeString(text);
            } else {
                json.writeRawValue(text);
            }
        }
        if (open) {
            json.writeEndObject();
        }
    }

    private Route route(Draft draft) {
        if (draft.sourceFrom >= 0) {
            return routes.of(draft.line, draft.sourceFrom, draft.sourceTo);
        }
        if (draft.sourceText != null) {
            byte[] source = draft.sourceText.getBytes(StandardCharsets.UTF_8);
            return routes.of(source, 0, source.length);
        }
        return fallback;
    }

    /** A UUIDv7 (RFC 9562, section 5.7). */
    private void identify(Instant now) {
        long high = now.toEpochMilli() << 16 | 0x7000 | random.nextInt() & 0xfff;
        long low = random.nextLong() & 0x3fff_ffff_ffff_ffffL | 0x8000_0000_0000_0000L;
        int at = 0;
        for (int nibble = 0; nibble < 32; nibble++) {
            if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20) {
                id[at++] = '-';
            }
            long half = nibble < 16 ? high : low;
            id[at++] = HEX[(int) (half >>> (60 - 4 * (nibble & 15))) & 15];
        }
    }
}
