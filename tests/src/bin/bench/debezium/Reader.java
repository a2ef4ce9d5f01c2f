// Runs Debezium's engine as the bench sets it, and writes what it gives to a file: each batch synced before it is marked as processed.
// Arguments: the engine's properties, the file. On the standard output: after each batch, how many events were written.

import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.io.ByteArrayOutputStream;
import java.io.FileOutputStream;
import java.io.FileReader;
import java.nio.charset.StandardCharsets;
import java.util.Properties;

public class Reader {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        try (FileReader file = new FileReader(arguments[0])) {
            properties.load(file);
        }
        FileOutputStream out = new FileOutputStream(arguments[1], true);
        long[] written = {0};
        DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class)
                .using(properties)
                .using((success, message, error) -> System.err.println("it ended: " + message))
                .notifying((events, committer) -> {
                    ByteArrayOutputStream batch = new ByteArrayOutputStream();
                    for (ChangeEvent<String, String> event : events) {
                        if (event.value() != null) {
                            byte[] bytes = event.value().getBytes(StandardCharsets.UTF_8);
                            batch.write(bytes, 0, bytes.length);
                            batch.write('\n');
                            written[0]++;
                        }
                    }
                    try {
                        batch.writeTo(out);
                        out.getChannel().force(false);
                    } catch (java.io.IOException failed) {
                        throw new java.io.UncheckedIOException(failed);
                    }
                    for (ChangeEvent<String, String> event : events) {
                        committer.markProcessed(event);
                    }
                    committer.markBatchFinished();
                    System.out.println(written[0]);
                })
                .build();
        // Ended by SIGTERM, it keeps where it stands.
        Thread running = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                engine.close();
                running.join(10_000);
            } catch (Exception failed) {
                System.err.println("it can't be closed: " + failed);
            }
        }));
        engine.run();
    }
}
