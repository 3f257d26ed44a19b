package qgx.peer;

import com.fasterxml.jackson.core.SerializableString;
import java.util.Arrays;

/** A record on its way to JSON: parts of the line, sorted by type. Used again for the next one. */
final class Draft {
    static final byte NUMBER = 0;
    static final byte STRING = 1;
    static final byte BOOL = 2;

    byte[] line;
    int length;
    boolean json;
    boolean timed;
    long seconds;
    int nanos;
    /** A name of {@link Syslog#LEVELS}, or null. */
    String level;
    String kind;
    /** A part of the line, or -1; {@code sourceText} where it had to be decoded. */
    int sourceFrom;
    int sourceTo;
    String sourceText;
    int messageFrom;
    int messageTo;
    String messageText;

    int fields;
    SerializableString[] names = new SerializableString[16];
    byte[] types = new byte[16];
    int[] froms = new int[16];
    int[] tos = new int[16];
    String[] texts = new String[16];

    void begin(byte[] line, int length) {
        this.line = line;
        this.length = length;
        json = false;
        timed = false;
        level = null;
        kind = null;
        sourceFrom = -1;
        sourceText = null;
        messageFrom = -1;
        messageText = null;
        fields = 0;
    }

    void at(long seconds, int nanos) {
        timed = true;
        this.seconds = seconds;
        this.nanos = nanos;
    }

    void source(int from, int to) {
        sourceFrom = from;
        sourceTo = to;
    }

    void message(int from, int to) {
        messageFrom = from;
        messageTo = to;
    }

    boolean hasMessage() {
        return messageFrom >= 0 || messageText != null;
    }

    /** A field whose text stands in the line as it is. */
    void field(SerializableString name, byte type, int from, int to) {
        add(name, type);
        froms[fields - 1] = from;
        tos[fields - 1] = to;
        texts[fields - 1] = null;
    }

    void field(SerializableString name, byte type, String text) {
        add(name, type);
        texts[fields - 1] = text;
    }

    private void add(SerializableString name, byte type) {
        if (fields == names.length) {
            int more = 2 * fields;
            names = Arrays.copyOf(names, more);
            types = Arrays.copyOf(types, more);
            froms = Arrays.copyOf(froms, more);
            tos = Arrays.copyOf(tos, more);
            texts = Arrays.copyOf(texts, more);
        }
        names[fields] = name;
        types[fields++] = type;
    }
}
