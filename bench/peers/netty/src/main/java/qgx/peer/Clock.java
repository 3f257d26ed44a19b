package qgx.peer;

import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneId;

/** Times from text and back. */
final class Clock {
    /** Times that name no zone are of this one. */
    static final ZoneId ZONE = ZoneId.of("Asia/Seoul");

    private static final int DAY = 86_400;

    private long day = Long.MIN_VALUE;
    private long second = Long.MIN_VALUE;
    private final byte[] text = "0000-00-00T00:00:00.000000000Z".getBytes(java.nio.charset.StandardCharsets.US_ASCII);

    /** RFC 3339 into the draft's time; false where it is none. */
    static boolean rfc3339(Draft draft, int from, int to) {
        byte[] line = draft.line;
        int year = Text.digits(line, from, to, 4);
        int month = Text.digits(line, from + 5, to, 2);
        int day = Text.digits(line, from + 8, to, 2);
        int hour = Text.digits(line, from + 11, to, 2);
        int minute = Text.digits(line, from + 14, to, 2);
        int second = Text.digits(line, from + 17, to, 2);
        if ((year | month | day | hour | minute | second) < 0 || line[from + 4] != '-' || line[from + 7] != '-'
                || line[from + 13] != ':' || line[from + 16] != ':' || month < 1 || month > 12 || day < 1 || day > 31
                || hour > 23 || minute > 59 || second > 60) {
            return false;
        }
        int at = from + 19;
        int nanos = 0;
        if (at < to && line[at] == '.') {
            int scale = 100_000_000;
            for (at++; at < to && line[at] >= '0' && line[at] <= '9'; at++) {
                nanos += (line[at] - '0') * scale;
                scale /= 10;
            }
        }
        long seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + Math.min(second, 59);
        if (at + 1 == to && (line[at] == 'Z' || line[at] == 'z')) {
            draft.at(seconds, nanos);
            return true;
        }
        if (at == to) {
            LocalDateTime local = LocalDateTime.ofEpochSecond(seconds, nanos, java.time.ZoneOffset.UTC);
            draft.at(local.atZone(ZONE).toEpochSecond(), nanos);
            return true;
        }
        int hours = Text.digits(line, at + 1, to, 2);
        int minutes = Text.digits(line, at + 4, to, 2);
        if ((hours | minutes) < 0 || at + 6 != to || (line[at] != '+' && line[at] != '-')) {
            return false;
        }
        int offset = hours * 3600 + minutes * 60;
        draft.at(line[at] == '+' ? seconds - offset : seconds + offset, nanos);
        return true;
    }

    /** RFC 3164's {@code Dec 10 06:55:46}: the latest that is not more than a day ahead; answers where it ends, or -1. */
    static int rfc3164(Draft draft, int from) {
        byte[] line = draft.line;
        int to = draft.length;
        int month = month(line, from, to);
        if (month < 0 || from + 15 > to || line[from + 3] != ' ' || line[from + 6] != ' ') {
            return -1;
        }
        int day = line[from + 4] == ' ' ? Text.digits(line, from + 5, to, 1) : Text.digits(line, from + 4, to, 2);
        int hour = Text.digits(line, from + 7, to, 2);
        int minute = Text.digits(line, from + 10, to, 2);
        int second = Text.digits(line, from + 13, to, 2);
        if ((day | hour | minute | second) < 0 || day < 1 || day > 28 && day > longest(month) || hour > 23
                || minute > 59 || second > 59) {
            return -1;
        }
        long latest = Instant.now().getEpochSecond() + DAY;
        int year = LocalDateTime.ofEpochSecond(latest, 0, java.time.ZoneOffset.UTC).getYear() + 1;
        while (true) {
            long local = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
            long seconds =
                    LocalDateTime.ofEpochSecond(local, 0, java.time.ZoneOffset.UTC).atZone(ZONE).toEpochSecond();
            if (seconds <= latest) {
                draft.at(seconds, 0);
                return from + 15;
            }
            year--;
        }
    }

    private static int longest(int month) {
        return java.time.Month.of(month).maxLength();
    }

    private static int month(byte[] line, int from, int to) {
        if (from + 3 > to) {
            return -1;
        }
        return switch (line[from] << 16 | line[from + 1] << 8 | line[from + 2]) {
            case 'J' << 16 | 'a' << 8 | 'n' -> 1;
            case 'F' << 16 | 'e' << 8 | 'b' -> 2;
            case 'M' << 16 | 'a' << 8 | 'r' -> 3;
            case 'A' << 16 | 'p' << 8 | 'r' -> 4;
            case 'M' << 16 | 'a' << 8 | 'y' -> 5;
            case 'J' << 16 | 'u' << 8 | 'n' -> 6;
            case 'J' << 16 | 'u' << 8 | 'l' -> 7;
            case 'A' << 16 | 'u' << 8 | 'g' -> 8;
            case 'S' << 16 | 'e' << 8 | 'p' -> 9;
            case 'O' << 16 | 'c' << 8 | 't' -> 10;
            case 'N' << 16 | 'o' << 8 | 'v' -> 11;
            case 'D' << 16 | 'e' << 8 | 'c' -> 12;
            default -> -1;
        };
    }

    /** Days since 1970-01-01, of the proleptic Gregorian calendar. */
    private static long days(int year, int month, int day) {
        int shifted = month <= 2 ? year - 1 : year;
        int era = Math.floorDiv(shifted, 400);
        int ofEra = shifted - era * 400;
        int ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
        return era * 146_097L + ofEra * 365L + ofEra / 4 - ofEra / 100 + ofYear - 719_468;
    }

    /** RFC 3339 with nine digits; the same bytes at each call. */
    byte[] write(long seconds, int nanos) {
        if (seconds != second) {
            second = seconds;
            long newDay = Math.floorDiv(seconds, (long) DAY);
            if (newDay != day) {
                day = newDay;
                java.time.LocalDate date = java.time.LocalDate.ofEpochDay(newDay);
                put(0, 4, date.getYear());
                put(5, 2, date.getMonthValue());
                put(8, 2, date.getDayOfMonth());
            }
            int ofDay = (int) (seconds - newDay * DAY);
            put(11, 2, ofDay / 3600);
            put(14, 2, ofDay / 60 % 60);
            put(17, 2, ofDay % 60);
        }
        put(20, 9, nanos);
        return text;
    }

    private void put(int at, int count, int value) {
        for (int place = at + count - 1; place >= at; place--) {
            text[place] = (byte) ('0' + value % 10);
            value /= 10;
        }
    }
}
