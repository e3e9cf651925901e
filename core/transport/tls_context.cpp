#include "core/transport/tls_context.hpp"

#include <Poco/Exception.h>
#include <Poco/Net/IPAddress.h>
#include <Poco/Net/NetSSL.h>
#include <Poco/Net/SSLManager.h>
#include <netinet/in.h>
#include <openssl/bio.h>
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
constexpr int kNamesShownMax = 8;                 // of a certificate, in an error
constexpr std::size_t kNameShownMax = 200;
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

std::string name_text(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), BIO_free);
  X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return printable(std::string_view(text, static_cast<std::size_t>(std::max(0L, size))), kNameShownMax);
}

// The names of subjectAltName; the common name does not count (sdk/protocol.md §1).
std::string names_of(const X509* certificate) {
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> all(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  std::string text;
  const int count = all ? sk_GENERAL_NAME_num(all.get()) : 0;
  for (int i = 0; i < std::min(count, kNamesShownMax); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
    const ASN1_STRING* value = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
    const auto* bytes = ASN1_STRING_get0_data(value);
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(value));
    if (!text.empty()) text += ", ";
    if (name->type == GEN_DNS)
      text += printable(std::string_view(reinterpret_cast<const char*>(bytes), size), kNameShownMax);
    else if (size == sizeof(in_addr) || size == sizeof(in6_addr))
      text += Poco::Net::IPAddress(bytes, static_cast<poco_socklen_t>(size)).toString();
  }
  return count > kNamesShownMax ? text + ", and more" : text;
}

// By the rules that the handshake itself obeys.
bool is_for_host(X509* certificate, X509_STORE_CTX* store) {
  const X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(store);
  const unsigned flags = X509_VERIFY_PARAM_get_hostflags(rules);
  if (const char* host = X509_VERIFY_PARAM_get0_host(const_cast<X509_VERIFY_PARAM*>(rules), 0))
    return X509_check_host(certificate, host, 0, flags, nullptr) == 1;
  const std::unique_ptr<char, void (*)(char*)> address(
      X509_VERIFY_PARAM_get1_ip_asc(const_cast<X509_VERIFY_PARAM*>(rules)), [](char* text) { OPENSSL_free(text); });
  return address && X509_check_ip_asc(certificate, address.get(), flags) == 1;
}

// Called by OpenSSL for each certificate; only looks on, the verdict stays OpenSSL's.
int look_on(int verdict, X509_STORE_CTX* store) {
  if (verdict == 1) return verdict;
  const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* note = static_cast<VerifyNote*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), note_index()));
  note->error = X509_STORE_CTX_get_error(store);
  note->words = X509_verify_cert_error_string(note->error);
  if (const X509* certificate = X509_STORE_CTX_get_current_cert(store)) {
    note->subject = name_text(X509_get_subject_name(certificate));
    note->issuer = name_text(X509_get_issuer_name(certificate));
    note->not_before = to_time(X509_get0_notBefore(certificate));
    note->not_after = to_time(X509_get0_notAfter(certificate));
  }
  if (X509* own = X509_STORE_CTX_get0_cert(store)) {
    note->names = names_of(own);
    note->is_for_host = is_for_host(own, store);
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

namespace {

// Where nothing was wrong with a certificate: what OpenSSL's words mean to a person.
std::string meaning_of(const std::string& words) {
  const auto says = [&](const char* part) { return words.find(part) != std::string::npos; };
  if (says("unsupported protocol") || says("protocol version"))
    return "the server offers no TLS 1.2 or later, and less is never spoken (" + words + ")";
  if (says("wrong version number") || says("http request"))
    return "the server does not speak TLS on this port: a wrong port, or a network's portal? (" + words + ")";
  return words;
}

std::string clock_words(SystemTime checked_at) {
  const SystemTime now = std::chrono::system_clock::now();
  std::string words = "the device's clock is " + utc(now);
  // The floor of the last Date that the cloud told (sdk/protocol.md §1).
  if (checked_at > now) words += ", and the cloud was last heard at " + utc(checked_at);
  return words;
}

}  // namespace

Error handshake_error(const std::string& origin, const std::string& host, const VerifyNote& note, SystemTime checked_at,
                      const std::string& words) {
  const std::string of = " (" + note.subject + ")", names = note.names.empty() ? "no name at all" : note.names;
  switch (note.error) {
    case X509_V_OK:
      return {"tls_failed", origin + ": " + meaning_of(words)};
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {"certificate_clock", origin + ": the certificate expired on " + utc(note.not_after) + "; " +
                                       clock_words(checked_at) + of + ": renew the certificate, or set the clock"};
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {"certificate_clock", origin + ": the certificate is valid from " + utc(note.not_before) + " on; " +
                                       clock_words(checked_at) + of + ": the clock may be wrong, set it"};
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return {"tls_failed", origin + ": the certificate is for another name: expected " + host + ", got " + names +
                                ": is the domain right, or is the connection intercepted?"};
    default:
      break;
  }
  const std::string untrusted = "issued by " + note.issuer + ", which this device does not trust (" + note.words + ")";
  if (note.is_for_host)
    return {"tls_failed", origin + ": the certificate was " + untrusted +
                              ": intercepted? If that is the cloud's own authority, set ca_file to it"};
  // Neither the name nor the authority: so answer captive portals.
  return {"tls_failed", origin + ": the certificate was " + untrusted + ", and is for another name: expected " + host +
                            ", got " + names + ": intercepted? Log in to the network's portal, or check the domain"};
}

}  // namespace hawser::transport
