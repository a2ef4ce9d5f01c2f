// Pushes messages with gSOAP, on one connection. What is sent, and when again, is written in README.md and messages.py.
// gSOAP reads a WSDL only when it makes code, so `gsoap_from_wsdl` is what reads the served one; see ADDRESS_IN_WSDL.

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include "WmsEventsBinding11.nsmap"
#include "soapWmsEventsBinding11Proxy.h"

namespace {

const useconds_t PAUSE_US = 200 * 1000;
const time_t GIVE_UP_S = 60;
const int ANSWER_S_MAX = 30;
const time_t FIRST_MOVE_S = 1704067200;  // 2024-01-01T00:00:00Z

struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct Unanswered : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class T> std::string text(const T &value) {
    std::ostringstream out;
    out << value;
    return out.str();
}

bool set_to(const char *variable, const char *value) {
    const char *found = std::getenv(variable);
    return found != nullptr && std::strcmp(found, value) == 0;
}

std::string quantity(int n, int i) {
    return text(n % 1000 + ((i - 1) % 7 + 1) / 8.0);
}

std::string sku(int i) {
    return "SKU-" + text(i % 100);
}

// Raises for whatever the last call met.
void judge(soap *context) {
    const int error = context->error;
    if (error == SOAP_OK) return;
    // A status that no SOAP came with stands in `error` itself.
    const bool status = error >= 300 && error < 600;
    if (status && error < 500 && error != 408 && error != 429) throw Refused("HTTP " + text(error));
    if (status) throw Unanswered("HTTP " + text(error));

    const bool fault = error == SOAP_FAULT || error == SOAP_CLI_FAULT || error == SOAP_SVR_FAULT ||
                       error == SOAP_MUSTUNDERSTAND || error == SOAP_VERSIONMISMATCH;
    if (!fault) {
        char met[200];
        throw Unanswered(soap_sprint_fault(context, met, sizeof met));
    }

    const char *code = *soap_faultcode(context), *reason = *soap_faultstring(context);
    const std::string whole = code ? code : "", said = whole + ": " + (reason ? reason : "");

    const std::string local = whole.substr(whole.find(':') + 1);
    const std::string first = local.substr(0, local.find('.'));
    if (first == "Server" || first == "Receiver") throw Unanswered(said);
    throw Refused(said);
}

// The generated table with the wanted version's envelope first. As generated, a WSDL with any port of 1.2 makes every message 1.2,
// whichever port it goes to; soap_set_version of 2.8.124 changes nothing in that.
const Namespace *version_namespaces(bool soap12) {
    static Namespace table[sizeof namespaces / sizeof *namespaces];
    std::copy(std::begin(namespaces), std::end(namespaces), table);
    const bool generated12 = std::strstr(table[0].ns, "2003/05") != nullptr;
    if (soap12 != generated12) {
        std::swap(table[0].ns, table[0].in);
        std::swap(table[1].ns, table[1].in);
    }
    return table;
}

class Sender {
  public:
    explicit Sender(const std::string &wsdl_url)
        : proxy(SOAP_IO_KEEPALIVE | SOAP_C_UTFSTRING), one_way(set_to("ONE_WAY", "1")),
          soap12(set_to("SOAP_VERSION", "1.2")) {
        address = wsdl_url.substr(0, wsdl_url.find('?'));
#ifndef ADDRESS_IN_WSDL
        proxy.soap_endpoint = address.c_str();
#endif
        soap_set_namespaces(proxy.soap, version_namespaces(soap12));
        proxy.soap->connect_timeout = ANSWER_S_MAX;
        proxy.soap->send_timeout = ANSWER_S_MAX;
        proxy.soap->recv_timeout = ANSWER_S_MAX;
    }

    void send(const std::string &number, int n, int count) {
        one_way ? report_shipment(number, n, count) : put_movements(number, n, count);
        proxy.destroy();
    }

  private:
    WmsEventsBinding11Proxy proxy;
    std::string address;
    bool one_way, soap12;

    void put_movements(const std::string &number, int n, int count) {
        _ns1__PutMovements request;
        request.BatchNo = number;
        for (int i = 1; i <= count; i++) {
            ns1__Movement *movement = soap_new_ns1__Movement(proxy.soap);
            movement->Id = number + "-" + text(i);
            movement->Sku = sku(i);
            movement->Location = "S\xc3\xbc" "d & " + text(n % 20);
            movement->Quantity = quantity(n, i);
            movement->MovedAt = FIRST_MOVE_S + n;
            request.Movement.push_back(movement);
        }
        _ns1__PutMovementsResponse response;
        soap12 ? proxy.PutMovements_(&request, response) : proxy.PutMovements(&request, response);
        judge(proxy.soap);
        // An empty Body leaves the answer empty too.
        if (response.Accepted.empty()) throw Unanswered("the answer accepts nothing");
    }

    void report_shipment(const std::string &number, int n, int count) {
        _ns1__ReportShipment request;
        request.ShipNo = number;
        for (int i = 1; i <= count; i++) {
            ns1__ShipmentLine *line = soap_new_ns1__ShipmentLine(proxy.soap);
            line->LineNo = i;
            line->Sku = sku(i);
            line->Quantity = quantity(n, i);
            request.Line.push_back(line);
        }
        soap12 ? proxy.ReportShipment_(&request) : proxy.ReportShipment(&request);
        judge(proxy.soap);
    }
};

int send_until_taken(Sender &sender, const std::string &number, int n, int count) {
    const time_t started = std::time(nullptr);
    for (int retried = 0;; retried++) {
        try {
            sender.send(number, n, count);
            return retried;
        } catch (const Unanswered &error) {
            if (std::time(nullptr) - started > GIVE_UP_S)
                throw Refused("gave up after " + text(GIVE_UP_S) + " s: " + error.what());
            std::cerr << "again: " << error.what() << std::endl;
        }
        usleep(PAUSE_US);
    }
}

}  // namespace

int main(int, char **arguments) {
    // A connection that the receiver closed must end in an error, not in the death of this program.
    std::signal(SIGPIPE, SIG_IGN);
    const int first = std::atoi(arguments[2]), count = std::atoi(arguments[3]), per_message = std::atoi(arguments[4]);
    Sender sender(arguments[1]);
    int retried = 0;
    try {
        for (int n = first; n < first + count; n++)
            retried += send_until_taken(sender, "gsoap-" + text(n), n, per_message);
    } catch (const Refused &error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
    std::cout << "sent " << count << " retried " << retried << std::endl;
    return 0;
}
