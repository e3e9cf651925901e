#include "core/transport/tls_context.hpp"

#include <Poco/Exception.h>
#include <Poco/Net/NetSSL.h>
#include <Poco/Net/SSLManager.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <mutex>
#include <utility>

#include "core/base/encoding.hpp"
#include "core/transport/resolver.hpp"

namespace hawser::transport {
namespace {

using Poco::Net::Context;

constexpr int kChainDepth = 9;
constexpr std::time_t kLastTime = 9'000'000'000;  // in the year 2255
// TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has nothing else.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

void start_poco_once() {
  // Never uninitialized: Poco's counterpart ends TLS for every thread of the process.
  static std::once_flag once;
  std::call_once(once, [] {
    Poco::Net::initializeSSL();
    // OpenSSL writes to sockets without MSG_NOSIGNAL: a peer that is gone must be an error, not the end of the process.
    std::signal(SIGPIPE, SIG_IGN);
  });
}

int note_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

SystemTime to_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return {};
  // "No end", the year 9999, is beyond what the clock's nanoseconds can count.
  return std::chrono::system_clock::from_time_t(std::min(::timegm(&parts), kLastTime));
}

// Called by OpenSSL for each certificate; only looks on, the verdict stays OpenSSL's.
int look_on(int verdict, X509_STORE_CTX* store) {
  if (verdict == 1) return verdict;
  const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* note = static_cast<VerifyNote*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), note_index()));
  note->error = X509_STORE_CTX_get_error(store);
  note->words = X509_verify_cert_error_string(note->error);
  if (const X509* certificate = X509_STORE_CTX_get_current_cert(store)) {
    char name[256] = "";
    X509_NAME_oneline(X509_get_subject_name(certificate), name, sizeof name);
    note->subject = printable(name);
    note->not_before = to_time(X509_get0_notBefore(certificate));
    note->not_after = to_time(X509_get0_notAfter(certificate));
  }
  return verdict;
}

void set_rules(SSL_CTX* context, const std::string& host) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, kCiphers);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // The name is checked inside the handshake: Poco's own check after it can be missed when a server stalls.
  X509_VERIFY_PARAM* rules = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (is_ip_literal(host))
    X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str());
  else
    X509_VERIFY_PARAM_set1_host(rules, host.c_str(), host.size());
}

std::string last_words() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* reason = error ? ERR_reason_error_string(error) : nullptr;
  return reason ? reason : "unknown reason";
}

std::string utc(SystemTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

}  // namespace

TlsContext::TlsContext(Context::Ptr context) : note_(std::make_unique<VerifyNote>()), context_(std::move(context)) {
  SSL_CTX_set_ex_data(context_->sslContext(), note_index(), note_.get());
  SSL_CTX_set_verify(context_->sslContext(), SSL_VERIFY_PEER, &look_on);
}

Result<std::unique_ptr<TlsContext>> TlsContext::make(const std::string& host, const std::string& ca_file) {
  start_poco_once();
  ERR_clear_error();
  try {
    Context::Ptr context = new Context(Context::TLS_CLIENT_USE, "", Context::VERIFY_STRICT, kChainDepth, false);
    context->enableSessionCache(true);
    SSL_CTX* const raw = context->sslContext();
    set_rules(raw, host);
    if (ca_file.empty()) {
      if (!trust_directory(raw, X509_get_default_cert_dir()))
        return Error{"tls_failed", std::string("the system's certificates in ") + X509_get_default_cert_dir() +
                                       " cannot be used: " + last_words()};
    } else if (SSL_CTX_load_verify_file(raw, ca_file.c_str()) != 1) {
      return Error{"tls_failed", "ca_file " + ca_file + ": no certificate can be read from it: " + last_words()};
    }
    return std::unique_ptr<TlsContext>(new TlsContext(std::move(context)));
  } catch (const Poco::Exception& error) {
    return Error{"tls_failed", "TLS cannot be set up: " + error.displayText()};
  }
}

void TlsContext::begin(SystemTime when) {
  *note_ = {};
  X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context_->sslContext()), std::chrono::system_clock::to_time_t(when));
}

Poco::Net::Session::Ptr TlsContext::take_session(std::uint16_t port, SystemTime when) {
  Poco::Net::Session::Ptr session = std::exchange(sessions_[port], nullptr);
  if (!session) return nullptr;
  const X509* certificate = SSL_SESSION_get0_peer(session->sslSession());
  return certificate && end_of(certificate) >= when ? session : nullptr;
}

SystemTime end_of(const X509* certificate) { return to_time(X509_get0_notAfter(certificate)); }

bool trust_directory(SSL_CTX* context, const char* directory) {
  X509_LOOKUP* lookup = X509_STORE_add_lookup(SSL_CTX_get_cert_store(context), X509_LOOKUP_hash_dir());
  return lookup && X509_LOOKUP_add_dir(lookup, directory, X509_FILETYPE_PEM) == 1;
}

Error handshake_error(const std::string& origin, const VerifyNote& note, SystemTime checked_at,
                      const std::string& words) {
  const std::string who = origin + ": the certificate of " + note.subject;
  switch (note.error) {
    case X509_V_OK:
      return {"tls_failed", origin + ": " + words};
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {"certificate_clock", who + " expired on " + utc(note.not_after) + "; the time on this device is " +
                                       utc(checked_at) + ": set the clock, or renew the certificate"};
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {"certificate_clock", who + " is valid from " + utc(note.not_before) + " on; the time on this device is " +
                                       utc(checked_at) + ": set the clock"};
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return {"tls_failed", who + " is for another name (" + note.words +
                                "): is the domain right, or is the connection intercepted?"};
    default:
      return {"tls_failed", who + " is not trusted (" + note.words +
                                "): set ca_file to the cloud's authority; or is the connection intercepted?"};
  }
}

}  // namespace hawser::transport
