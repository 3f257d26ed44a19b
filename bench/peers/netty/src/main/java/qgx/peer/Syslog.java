package qgx.peer;

import com.fasterxml.jackson.core.io.SerializedString;
import java.nio.charset.StandardCharsets;

/** RFC 5424, and RFC 3164 in its usual form. What has no priority is all message. */
final class Syslog {
    static final String[] LEVELS = {
        "emergency", "alert", "critical", "error", "warn", "notice", "info", "debug",
    };
    private static final String[] FACILITIES = {
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
        "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    };
    private static final SerializedString FACILITY = new SerializedString("facility");
    private static final SerializedString APP = new SerializedString("app");
    private static final SerializedString PID = new SerializedString("pid");
    private static final SerializedString MSGID = new SerializedString("msgid");

    private final Names<SerializedString> names = new Names<>(SerializedString::new);
    private byte[] name = new byte[256];
    private Draft draft;
    private byte[] line;
    private int at;
    private int to;

    void read(Draft draft) {
        this.draft = draft;
        line = draft.line;
        to = draft.length;
        at = 0;
        int priority = priority();
        if (priority < 0) {
            draft.message(0, to);
            return;
        }
        draft.level = LEVELS[priority % 8];
        draft.field(FACILITY, Draft.STRING, FACILITIES[priority / 8]);
        if (at + 1 < to && line[at] == '1' && line[at + 1] == ' ') {
            at += 2;
            rfc5424();
        } else {
            rfc3164();
        }
    }

    private int priority() {
        if (line[0] != '<') {
            return -1;
        }
        int end = Text.find(line, 1, Math.min(to, 5), '>');
        int value = end < 2 ? -1 : Text.digits(line, 1, to, end - 1);
        if (value < 0 || value > 191) {
            return -1;
        }
        at = end + 1;
        return value;
    }

    private void rfc5424() {
        int from = at;
        int end = word();
        if (isGiven(from, end)) {
            Clock.rfc3339(draft, from, end);
        }
        from = at;
        end = word();
        if (isGiven(from, end)) {
            draft.source(from, end);
        }
        header(APP);
        header(PID);
        header(MSGID);
        structuredData();
        if (at + 2 < to && line[at] == (byte) 0xef && line[at + 1] == (byte) 0xbb && line[at + 2] == (byte) 0xbf) {
            at += 3;
        }
        if (at < to) {
            draft.message(at, to);
        }
    }

    private void header(SerializedString name) {
        int from = at;
        int end = word();
        if (isGiven(from, end)) {
            draft.field(name, Draft.STRING, from, end);
        }
    }

    private boolean isGiven(int from, int end) {
        return end - from > 1 || (end - from == 1 && line[from] != '-');
    }

    /** Passes a word and the space after it; answers where the word ends. */
    private int word() {
        int end = Text.find(line, at, to, ' ');
        if (end < 0) {
            end = to;
        }
        at = Math.min(end + 1, to);
        return end;
    }

    private void structuredData() {
        if (at < to && line[at] == '-') {
            at++;
        }
        while (at < to && line[at] == '[') {
            int id = at + 1;
            int end = id;
            while (end < to && line[end] != ' ' && line[end] != ']') {
                end++;
            }
            int stem = put(0, id, end);
            name[stem++] = '/';
            at = end;
            while (at < to && line[at] == ' ') {
                parameter(stem);
            }
            if (at < to && line[at] == ']') {
                at++;
            }
        }
        if (at < to && line[at] == ' ') {
            at++;
        }
    }

    /** {@code name="value"} with the space before it. */
    private void parameter(int stem) {
        int from = ++at;
        int equals = Text.find(line, from, to, '=');
        if (equals < 0 || equals + 1 >= to || line[equals + 1] != '"') {
            at = to;
            return;
        }
        SerializedString field = names.of(name, 0, put(stem, from, equals));
        int value = equals + 2;
        int end = value;
        boolean escaped = false;
        while (end < to && line[end] != '"') {
            if (line[end] == '\\') {
                escaped = true;
                end++;
            }
            end++;
        }
        end = Math.min(end, to);
        if (escaped) {
            draft.field(field, Draft.STRING, unescaped(value, end));
        } else {
            draft.field(field, Draft.STRING, value, end);
        }
        at = Math.min(end + 1, to);
    }

    /** Puts a part of the line into the name, with slashes for dots; answers where it ends. */
    private int put(int place, int from, int end) {
        if (name.length < place + end - from + 1) {
            name = java.util.Arrays.copyOf(name, 2 * (place + end - from + 1));
        }
        for (int i = from; i < end; i++) {
            name[place++] = line[i] == '.' ? (byte) '/' : line[i];
        }
        return place;
    }

    private String unescaped(int from, int end) {
        StringBuilder plain = new StringBuilder(new String(line, from, end - from, StandardCharsets.UTF_8));
        for (int i = 0; i + 1 < plain.length(); i++) {
            char next = plain.charAt(i + 1);
            if (plain.charAt(i) == '\\' && (next == '"' || next == '\\' || next == ']')) {
                plain.deleteCharAt(i);
            }
        }
        return plain.toString();
    }

    private void rfc3164() {
        int end = Clock.rfc3164(draft, at);
        if (end >= 0) {
            at = end;
            while (at < to && line[at] == ' ') {
                at++;
            }
            int host = at;
            int hostEnd = word();
            draft.source(host, hostEnd);
        }
        tagged();
    }

    /** {@code program[pid]: text}. */
    private void tagged() {
        int end = at;
        while (end < to && line[end] != ':' && line[end] != ' ') {
            end++;
        }
        if (end >= to || line[end] != ':' || end == at) {
            draft.message(at, to);
            return;
        }
        int bracket = line[end - 1] == ']' ? Text.find(line, at, end, '[') : -1;
        if (bracket < 0) {
            draft.field(APP, Draft.STRING, at, end);
        } else {
            draft.field(APP, Draft.STRING, at, bracket);
            draft.field(PID, Draft.STRING, bracket + 1, end - 1);
        }
        at = end + 1;
        if (at < to && line[at] == ' ') {
            at++;
        }
        draft.message(at, to);
    }
}
