import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs command-line classes of Apache Kafka, unmodified, one after the other in this process: starting a JVM for each would
 * cost a second. In: a line of JSON per command, {"class", "args", "stdin", "seconds"}. Out: a line of JSON per command,
 * {"exit", "out"}, with both output streams in the order they were written.
 */
public final class ToolDriver {
    /** How long what a tool does at its end may take. */
    private static final long HOOK_MS = 5_000;

    /** One command while it runs. */
    private static final class Run {
        final ByteArrayOutputStream output = new ByteArrayOutputStream();
        final CountDownLatch ended = new CountDownLatch(1);
        final List<Runnable> hooks = Collections.synchronizedList(new ArrayList<>());
        volatile int status = -1;

        /** The tool wants the process to end: from here on its thread does nothing any more. */
        void exit(int wanted, String message) {
            if (message != null) {
                System.err.println(message);
            }
            end(wanted);
            while (true) {
                LockSupport.park();
            }
        }

        synchronized void end(int wanted) {
            if (ended.getCount() > 0) {
                status = wanted;
                ended.countDown();
            }
        }
    }

    private static volatile Run current;

    public static void main(String[] arguments) throws Exception {
        Exit.setExitProcedure((status, message) -> current.exit(status, message));
        Exit.setHaltProcedure((status, message) -> current.exit(status, message));
        Exit.setShutdownHookAdder((name, hook) -> current.hooks.add(hook));
        ObjectMapper json = new ObjectMapper();
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            answers.println(json.writeValueAsString(run(json, json.readTree(line))));
        }
        Runtime.getRuntime().halt(0);
    }

    private static ObjectNode run(ObjectMapper json, JsonNode command) throws Exception {
        Run run = new Run();
        current = run;
        PrintStream stream = new PrintStream(run.output, true, StandardCharsets.UTF_8);
        System.setOut(stream);
        System.setErr(stream);
        System.setIn(new ByteArrayInputStream(command.path("stdin").asText("").getBytes(StandardCharsets.UTF_8)));
        String name = command.get("class").asText();
        String[] arguments = json.convertValue(command.get("args"), String[].class);
        start(() -> run.end(call(name, arguments)));
        if (run.ended.await(command.path("seconds").asLong(60), TimeUnit.SECONDS)) {
            // As at the end of a process.
            for (Runnable hook : List.copyOf(run.hooks)) {
                start(hook).join(HOOK_MS);
            }
        }
        ObjectNode answer = json.createObjectNode();
        answer.put("exit", run.status);
        answer.put("out", run.output.toString(StandardCharsets.UTF_8));
        return answer;
    }

    private static Thread start(Runnable work) {
        Thread thread = new Thread(work, "tool");
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    private static int call(String name, String[] arguments) {
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
            return 0;
        } catch (InvocationTargetException thrown) {
            System.err.println(thrown.getCause());
            return 1;
        } catch (ReflectiveOperationException missing) {
            System.err.println(missing);
            return 1;
        }
    }
}
