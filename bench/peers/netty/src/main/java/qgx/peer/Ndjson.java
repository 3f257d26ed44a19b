package qgx.peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.io.SerializedString;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.HashMap;
import java.util.Map;

/** A JSON object a line. Nested objects become names with slashes; arrays stay JSON text; nulls are dropped. */
final class Ndjson {
    private static final int NAMES = 4096;

    private final JsonFactory factory = new JsonFactory();
    private final Map<String, SerializedString> names = new HashMap<>();

    void read(Draft draft) throws IOException {
        draft.json = true;
        try (JsonParser parser = factory.createParser(draft.line, 0, draft.length)) {
            parser.nextToken();
            object(parser, draft, "");
        }
    }

    private void object(JsonParser parser, Draft draft, String stem) throws IOException {
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            JsonToken token = parser.nextToken();
            String path = stem.isEmpty() ? name : stem + name;
            switch (token) {
                case START_OBJECT -> object(parser, draft, path + "/");
                case START_ARRAY -> draft.field(named(path), Draft.STRING, array(parser, draft));
                case VALUE_STRING -> text(draft, stem.isEmpty(), path, parser.getText());
                case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> draft.field(named(path), Draft.NUMBER, parser.getText());
                case VALUE_TRUE, VALUE_FALSE -> draft.field(named(path), Draft.BOOL, parser.getText());
                default -> {}
            }
        }
    }

    private void text(Draft draft, boolean top, String name, String text) {
        if (!top || !isEnvelope(draft, name, text)) {
            draft.field(named(name), Draft.STRING, text);
        }
    }

    private static boolean isEnvelope(Draft draft, String name, String text) {
        switch (name) {
            case "message", "msg" -> {
                if (draft.messageText != null) {
                    return false;
                }
                draft.messageText = text;
            }
            case "source", "host" -> {
                if (draft.sourceText != null) {
                    return false;
                }
                draft.sourceText = text;
            }
            case "level", "severity" -> draft.level = text;
            case "kind" -> draft.kind = text;
            case "ts", "@timestamp", "timestamp", "time" -> {
                try {
                    Instant instant = Instant.parse(text);
                    draft.at(instant.getEpochSecond(), instant.getNano());
                } catch (DateTimeParseException no) {
                    return false;
                }
            }
            default -> {
                return false;
            }
        }
        return true;
    }

    private static String array(JsonParser parser, Draft draft) throws IOException {
        int from = (int) parser.currentTokenLocation().getByteOffset();
        parser.skipChildren();
        int to = (int) parser.currentLocation().getByteOffset();
        return new String(draft.line, from, to - from, StandardCharsets.UTF_8);
    }

    private SerializedString named(String name) {
        SerializedString known = names.get(name);
        if (known == null) {
            if (names.size() >= NAMES) {
                names.clear();
            }
            known = new SerializedString(name.replace('.', '/'));
            names.put(name, known);
        }
        return known;
    }
}
