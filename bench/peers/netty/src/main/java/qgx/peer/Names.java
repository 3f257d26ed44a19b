package qgx.peer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;

/** What was made of the same bytes before: names of fields, routes of sources. */
final class Names<T> {
    private static final int MOST = 4096;

    private final Map<Bytes, T> known = new HashMap<>();
    private final Bytes probe = new Bytes();
    private final Function<String, T> make;

    Names(Function<String, T> make) {
        this.make = make;
    }

    T of(byte[] bytes, int from, int to) {
        probe.set(bytes, from, to);
        T found = known.get(probe);
        return found != null ? found : learn(bytes, from, to);
    }

    private T learn(byte[] bytes, int from, int to) {
        if (known.size() >= MOST) {
            known.clear();
        }
        T made = make.apply(new String(bytes, from, to - from, StandardCharsets.UTF_8));
        Bytes key = new Bytes();
        key.set(Arrays.copyOfRange(bytes, from, to), 0, to - from);
        known.put(key, made);
        return made;
    }

    /** A part of an array as a key. */
    private static final class Bytes {
        private byte[] bytes;
        private int from;
        private int to;
        private int hash;

        void set(byte[] bytes, int from, int to) {
            this.bytes = bytes;
            this.from = from;
            this.to = to;
            int hash = 1;
            for (int at = from; at < to; at++) {
                hash = 31 * hash + bytes[at];
            }
            this.hash = hash;
        }

        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Bytes that
                    && hash == that.hash
                    && Arrays.equals(bytes, from, to, that.bytes, that.from, that.to);
        }
    }
}
