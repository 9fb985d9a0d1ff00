import com.arjuna.ats.arjuna.recovery.RecoveryManager;
import io.narayana.lra.coordinator.api.Coordinator;
import io.narayana.lra.coordinator.api.CoordinatorContainerFilter;
import io.narayana.lra.coordinator.internal.Implementations;
import jakarta.ws.rs.ApplicationPath;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Application;
import java.util.Map;
import java.util.Set;
import org.jboss.resteasy.plugins.server.undertow.UndertowJaxrsServer;

/** Narayana's coordinator of MicroProfile LRA by itself, on 127.0.0.1.   LraCoordinator PORT FOLDER */
public final class LraCoordinator {
    private static final Map<String, String> RECOVERY = Map.of( // times in seconds
            "periodicRecoveryPeriod", "1",
            "recoveryBackoffPeriod", "1",
            "recoveryListener", "false",
            "recoveryAddress", "127.0.0.1",
            "transactionStatusManagerAddress", "127.0.0.1",
            "transactionStatusManagerPort", "0");

    @ApplicationPath("/")
    public static final class Api extends Application {
        @Override
        public Set<Class<?>> getClasses() {
            return Set.of(Coordinator.class, CoordinatorContainerFilter.class, Version.class);
        }
    }

    @Path("/version")
    public static final class Version {
        @GET
        public String version() {
            return Coordinator.class.getPackage().getImplementationVersion();
        }
    }

    public static void main(String[] words) {
        RECOVERY.forEach((name, value) -> System.setProperty("RecoveryEnvironmentBean." + name, value));
        for (String store : Set.of("", "communicationStore.", "stateStore.")) {
            System.setProperty("ObjectStoreEnvironmentBean." + store + "objectStoreDir", words[1]);
        }
        Implementations.install();
        RecoveryManager.manager();
        new UndertowJaxrsServer().setHostname("127.0.0.1").setPort(Integer.parseInt(words[0])).deploy(Api.class).start();
    }
}
