package qgx.peer;

import io.netty.channel.Channel;
import java.util.Properties;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The one producer, and what holds sockets back while it is behind: an event loop must never wait in {@code send} for
 * the producer's memory.
 */
final class Publisher implements AutoCloseable {
    private static final long MIB = 1024 * 1024;
    private static final long MEMORY = 64 * MIB;
    /** Bytes without their delivery report at which sockets are read no more, and at which they are read again. */
    private static final long HIGH = MEMORY / 2;
    private static final long LOW = MEMORY / 4;

    private final KafkaProducer<byte[], byte[]> producer;
    private final String topic;
    private final AtomicLong pending = new AtomicLong();
    private final Queue<Channel> paused = new ConcurrentLinkedQueue<>();

    Publisher(String servers, String topic) {
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(ProducerConfig.CLIENT_ID_CONFIG, "netty-peer");
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        // As QGX has it.
        settings.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4");
        settings.put(ProducerConfig.LINGER_MS_CONFIG, 5);
        settings.put(ProducerConfig.BATCH_SIZE_CONFIG, 256 * 1024);
        settings.put(ProducerConfig.BUFFER_MEMORY_CONFIG, MEMORY);
        this.producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
        this.topic = topic;
        // The first send would wait for it on an event loop.
        producer.partitionsFor(topic);
    }

    void send(Channel channel, byte[] key, byte[] value, Iterable<Header> headers) {
        long now = pending.addAndGet(value.length);
        producer.send(new ProducerRecord<>(topic, null, null, key, value, headers), new Delivery(value.length));
        if (now > HIGH && channel.config().isAutoRead()) {
            channel.config().setAutoRead(false);
            paused.add(channel);
            // The last report may have come in between.
            if (pending.get() < LOW) {
                resume();
            }
        }
    }

    private void resume() {
        for (Channel channel = paused.poll(); channel != null; channel = paused.poll()) {
            channel.config().setAutoRead(true);
        }
    }

    @Override
    public void close() {
        producer.close();
    }

    private final class Delivery implements Callback {
        private final int bytes;

        Delivery(int bytes) {
            this.bytes = bytes;
        }

        @Override
        public void onCompletion(RecordMetadata metadata, Exception failure) {
            if (failure != null) {
                // A run that lost a record is no measurement.
                System.err.println("a record was not stored: " + failure);
                Runtime.getRuntime().halt(1);
            }
            if (pending.addAndGet(-bytes) < LOW && !paused.isEmpty()) {
                resume();
            }
        }
    }
}
