package qgx.peer;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Bytes as text. */
final class Text {
    private static final VarHandle LONGS =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.nativeOrder());
    private static final long HIGH_BITS = 0x8080_8080_8080_8080L;

    private Text() {}

    /** Whether the first bytes are ASCII; eight are looked at at once. */
    static boolean isAscii(byte[] bytes, int length) {
        int at = 0;
        for (; at + 8 <= length; at += 8) {
            if (((long) LONGS.get(bytes, at) & HIGH_BITS) != 0) {
                return false;
            }
        }
        for (; at < length; at++) {
            if (bytes[at] < 0) {
                return false;
            }
        }
        return true;
    }

    /** Where a byte stands, or -1. */
    static int find(byte[] bytes, int from, int to, char wanted) {
        for (int at = from; at < to; at++) {
            if (bytes[at] == wanted) {
                return at;
            }
        }
        return -1;
    }

    /** The number that so many digits are, or -1. */
    static int digits(byte[] bytes, int from, int to, int count) {
        if (from + count > to) {
            return -1;
        }
        int value = 0;
        for (int at = from; at < from + count; at++) {
            int digit = bytes[at] - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            value = value * 10 + digit;
        }
        return value;
    }
}
