// Pushes messages with JAX-WS, whose JDK keeps the connection. What is sent, and when again, is written in README.md and messages.py.

import java.math.BigDecimal;
import java.net.URL;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import javax.xml.datatype.DatatypeConfigurationException;
import javax.xml.datatype.DatatypeFactory;
import javax.xml.datatype.XMLGregorianCalendar;
import javax.xml.ws.BindingProvider;
import javax.xml.ws.WebServiceException;
import javax.xml.ws.handler.MessageContext;
import javax.xml.ws.soap.SOAPFaultException;
import wms.Movement;
import wms.ShipmentLine;
import wms.WmsEvents;
import wms.WmsEventsPort;

public class PushJaxws {
    static final long PAUSE_MS = 200;
    static final long GIVE_UP_MS = 60_000;
    static final int ANSWER_MS_MAX = 30_000;
    // Held here, because Java forgets the level of a logger that nobody holds.
    static final Logger SOAP_LOG = Logger.getLogger("javax.xml.soap");
    static final Instant FIRST_MOVE = Instant.parse("2024-01-01T00:00:00Z");

    static class Refused extends Exception {
        Refused(String text) {
            super(text);
        }
    }

    static class Unanswered extends Exception {
        Unanswered(String text) {
            super(text);
        }
    }

    interface Attempt {
        void run() throws Refused, Unanswered;
    }

    final URL wsdl;
    final DatatypeFactory times;
    WmsEventsPort port;

    PushJaxws(String wsdl) throws Exception {
        this.wsdl = new URL(wsdl);
        this.times = DatatypeFactory.newInstance();
    }

    // The address that is called is the one in the WSDL, which is read here and now.
    void connect() throws Unanswered {
        try {
            WmsEvents service = new WmsEvents(wsdl);
            port = "1.2".equals(System.getenv("SOAP_VERSION")) ? service.getWmsEvents12() : service.getWmsEvents11();
        } catch (WebServiceException error) {
            throw new Unanswered(error.toString());
        }
        Map<String, Object> settings = ((BindingProvider) port).getRequestContext();
        settings.put("com.sun.xml.ws.connect.timeout", ANSWER_MS_MAX);
        settings.put("com.sun.xml.ws.request.timeout", ANSWER_MS_MAX);
    }

    void send(String number, int n, int count) throws Refused, Unanswered {
        String accepted;
        try {
            accepted = "1".equals(System.getenv("ONE_WAY")) ? reportShipment(number, n, count) : putMovements(number, n, count);
        } catch (SOAPFaultException error) {
            throw judge(error);
        } catch (WebServiceException error) {
            Integer status = status();
            String text = "HTTP " + status + ": " + error;
            if (isRefusal(status)) throw new Refused(text);
            throw new Unanswered(text);
        }
        if (accepted == null || accepted.isEmpty()) throw new Unanswered("the answer accepts nothing");
    }

    String putMovements(String number, int n, int count) {
        List<Movement> movements = new ArrayList<>();
        for (int i = 1; i <= count; i++) {
            Movement movement = new Movement();
            movement.setId(number + "-" + i);
            movement.setSku("SKU-" + i % 100);
            movement.setLocation("S\u00fcd & " + n % 20);
            movement.setQuantity(quantity(n, i));
            movement.setMovedAt(movedAt(n));
            movements.add(movement);
        }
        return port.putMovements(number, movements);
    }

    // Nothing comes back of a one-way message but its status.
    String reportShipment(String number, int n, int count) {
        List<ShipmentLine> lines = new ArrayList<>();
        for (int i = 1; i <= count; i++) {
            ShipmentLine line = new ShipmentLine();
            line.setLineNo(i);
            line.setSku("SKU-" + i % 100);
            line.setQuantity(quantity(n, i));
            lines.add(line);
        }
        port.reportShipment(number, lines);
        return String.valueOf(status());
    }

    Integer status() {
        Map<String, Object> answer = ((BindingProvider) port).getResponseContext();
        return answer == null ? null : (Integer) answer.get(MessageContext.HTTP_RESPONSE_CODE);
    }

    static boolean isRefusal(Integer status) {
        return status != null && status >= 400 && status < 500 && status != 408 && status != 429;
    }

    static Unanswered judge(SOAPFaultException error) throws Refused {
        String code = error.getFault().getFaultCodeAsQName().getLocalPart();
        String text = code + ": " + error.getFault().getFaultString();
        String first = code.split("\\.")[0];
        if (first.equals("Server") || first.equals("Receiver")) return new Unanswered(text);
        throw new Refused(text);
    }

    static BigDecimal quantity(int n, int i) {
        return BigDecimal.valueOf(n % 1000).add(new BigDecimal("0.125").multiply(BigDecimal.valueOf((i - 1) % 7 + 1)));
    }

    XMLGregorianCalendar movedAt(int n) {
        return times.newXMLGregorianCalendar(FIRST_MOVE.plusSeconds(n).toString());
    }

    static int keepTrying(Attempt attempt) throws Refused, InterruptedException {
        long started = System.currentTimeMillis();
        for (int retried = 0; ; retried++) {
            try {
                attempt.run();
                return retried;
            } catch (Unanswered error) {
                if (System.currentTimeMillis() - started > GIVE_UP_MS)
                    throw new Refused("gave up after " + GIVE_UP_MS / 1000 + " s: " + error.getMessage());
                System.err.println("again: " + error.getMessage());
            }
            Thread.sleep(PAUSE_MS);
        }
    }

    public static void main(String[] arguments) throws Exception {
        // Debian's SAAJ warns of the way in which Debian registers it, once for each message factory.
        SOAP_LOG.setLevel(Level.SEVERE);
        int first = Integer.parseInt(arguments[1]), count = Integer.parseInt(arguments[2]);
        int perMessage = Integer.parseInt(arguments[3]);
        PushJaxws push = new PushJaxws(arguments[0]);
        int retried = 0;
        try {
            keepTrying(push::connect);
            for (int n = first; n < first + count; n++) {
                int number = n;
                retried += keepTrying(() -> push.send("jaxws-" + number, number, perMessage));
            }
        } catch (Refused error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
        System.out.println("sent " + count + " retried " + retried);
    }
}
