#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config/settings.hpp"
#include "core/connection/main_connection.hpp"
#include "core/control/doctor_report.hpp"
#include "core/transport/connector.hpp"
#include "core/transport/http.hpp"
#include "core/transport/tls_context.hpp"

// The part of `doctor` that needs no agent: from a server's name to the first answer of the cloud, by every address.
namespace hawser::control {

// What a walk leaves for the steps that follow it.
struct Greeting {
  bool answered = false;                               // by one address at least
  std::string nonce;                                   // of the last answer
  std::vector<Poco::Net::SocketAddress> half_working;  // took the connection, and did not answer as a cloud does
};

// One thread; every wait goes through `waker` and ends at `deadline`.
class ServerWalk {
 public:
  // `floor`: the earliest time that certificates are checked at, as the agent has it (conn-23).
  ServerWalk(const config::Settings& settings, transport::SystemTime floor, Waker& waker, TimePoint deadline,
             DoctorReport& report)
      : settings_(settings), floor_(floor), waker_(waker), deadline_(deadline), report_(report) {}

  // Tries every address, also after one has worked.
  Greeting walk(const connection::Target& target);

 private:
  struct Way;  // to one server: its origin, what is dialled for it, and how

  std::optional<std::vector<Poco::Net::IPAddress>> look_up(const Way& way);
  void try_address(const Way& way, const Poco::Net::IPAddress& address, Greeting& greeting);
  bool look_for_route(const Way& way, const Poco::Net::IPAddress& address);
  std::unique_ptr<transport::Stream> secure(const Way& way, const std::string& address, transport::Connected connected);
  bool greet(const Way& way, const std::string& address, transport::Stream& stream, Greeting& greeting);
  void compare_clock(const transport::HttpAnswer& answer);
  void look_behind_the_date(const Way& way, const Poco::Net::IPAddress& address, const transport::VerifyNote& note);
  Result<transport::Connected> connect(const Way& way, const Poco::Net::IPAddress& address);

  const config::Settings& settings_;
  const transport::SystemTime floor_;
  Waker& waker_;
  const TimePoint deadline_;
  DoctorReport& report_;
  bool clock_compared_ = false;
  std::optional<transport::VerifyNote> dated_;  // of the certificate that failed by its dates at this address
};

// The path of the authentication, and what is asked there.
transport::HttpRequest authentication_request(const config::Settings& settings, const std::string& proof);

}  // namespace hawser::control
