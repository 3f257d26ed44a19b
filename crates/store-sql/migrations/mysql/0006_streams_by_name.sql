-- How far a stream has come whose records name their own sources: one that opens without `acked` asks for it by name.

CREATE INDEX streams_by_name ON streams (stream_name);
