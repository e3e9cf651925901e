#pragma once

#include <Poco/Net/Context.h>
#include <Poco/Net/Session.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "core/base/result.hpp"

namespace hawser::transport {

using SystemTime = std::chrono::system_clock::time_point;

// What OpenSSL said about the certificates of the handshake under way: Poco hides the SSL object that could be asked.
struct VerifyNote {
  int error = 0;  // X509_V_...; 0: nothing wrong was found
  std::string words;
  std::string subject;  // of the certificate with the fault, as "CN = cloud.test"
  SystemTime not_before{}, not_after{};
  std::string issuer;        // of the certificate with the fault
  std::string names;         // those of the server's own certificate, as "a.test, b.test"; may be empty
  bool is_for_host = false;  // whether they cover the host
};

// The TLS settings for one host: trust, the host's name, and the sessions by port. Owned by a Dialer, used on its
// thread, for one handshake at a time.
class TlsContext {
 public:
  // `ca_file` empty: the system's hashed directory. Error tls_failed names a file that cannot be used.
  static Result<std::unique_ptr<TlsContext>> make(const std::string& host, const std::string& ca_file);

  // Before each handshake: certificates are judged as of `when`, and the note of the last handshake is cleared.
  void begin(SystemTime when);
  const VerifyNote& note() const { return *note_; }

  Poco::Net::Context::Ptr poco() const { return context_; }
  // The session of the last connection to `port`, or null. It is given away: a TLS 1.3 ticket serves once, and one that
  // the server cannot stomach must not fail the next dial as well. Resuming skips the certificate, so a session whose
  // certificate has expired by `when` is forgotten.
  Poco::Net::Session::Ptr take_session(std::uint16_t port, SystemTime when);
  void keep_session(std::uint16_t port, Poco::Net::Session::Ptr session) { sessions_[port] = std::move(session); }

 private:
  explicit TlsContext(Poco::Net::Context::Ptr context);

  std::unique_ptr<VerifyNote> note_;
  Poco::Net::Context::Ptr context_;
  std::map<std::uint16_t, Poco::Net::Session::Ptr> sessions_;
};

// When the certificate's validity ends.
SystemTime end_of(const X509* certificate);

// Lets `context` find trust anchors in a directory of hashed names, each read when it is needed: the whole bundle would
// cost every process several hundred KiB.
bool trust_directory(SSL_CTX* context, const char* directory);

// Why the handshake with `origin` for `host` failed, as an Error tls_failed or certificate_clock, from the note and
// Poco's words.
Error handshake_error(const std::string& origin, const std::string& host, const VerifyNote& note, SystemTime checked_at,
                      const std::string& words);

}  // namespace hawser::transport
