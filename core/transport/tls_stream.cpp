#include "core/transport/tls_stream.hpp"

#include <Poco/Exception.h>
#include <Poco/Net/SSLException.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <openssl/err.h>

#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/transport/resolver.hpp"

namespace hawser::transport {
namespace {

using Poco::Net::SecureStreamSocket;

// Poco judges a call by OpenSSL's error queue and errno as well: a stale error makes a healthy read throw, a stale
// EINTR after close_notify spins for ever. To be called before every TLS call.
void clear_stale_errors() {
  ERR_clear_error();
  errno = 0;
}

// Poco takes a descriptor over only through its own class.
class AdoptedSocket : public Poco::Net::StreamSocket {
 public:
  explicit AdoptedSocket(Descriptor socket) : StreamSocket(new Poco::Net::StreamSocketImpl(socket.release())) {
    setNoDelay(true);
    setBlocking(false);  // before attach: on a secure socket it does nothing
  }
};

// A copy for the next dial. OpenSSL marks a connection's own session as never to be resumed when the connection breaks,
// and a lost connection is just what the next dial comes after. Poco makes sessions in its own class only.
class KeptSession : public Poco::Net::Session {
 public:
  explicit KeptSession(SSL_SESSION* owned) : Session(owned) {}
};

Stream::Io to_io(int answer, std::size_t& moved) {
  if (answer > 0) moved = static_cast<std::size_t>(answer);
  if (answer > 0) return Stream::Io::Done;
  if (answer == 0) return Stream::Io::Closed;
  return answer == SecureStreamSocket::ERR_SSL_WANT_WRITE ? Stream::Io::WantWrite : Stream::Io::WantRead;
}

// What a TLS call of Poco's throws, in one place. The end of TCP without close_notify is an error of OpenSSL's as well;
// it is told apart by its name, because an attacker can cause it and a TLS fault is another matter.
template <typename Call>
Result<int> guarded(Call call) {
  clear_stale_errors();
  try {
    return call();
  } catch (const Poco::Net::ConnectionResetException&) {
    return Error{"peer_closed", "the connection was reset"};
  } catch (const Poco::Net::SSLConnectionUnexpectedlyClosedException&) {
    return Error{"peer_closed", "the connection ended without close_notify"};
  } catch (const Poco::Net::SSLException& error) {
    const std::string words = error.displayText();
    if (words.find("unexpected eof") != std::string::npos)
      return Error{"peer_closed", "the connection ended without close_notify"};
    return Error{"tls_failed", printable(words, 300)};
  } catch (const Poco::Exception& error) {
    return Error{"peer_closed", printable(error.displayText(), 300)};
  }
}

int clamp_to_int(std::size_t bytes) { return static_cast<int>(std::min<std::size_t>(bytes, 1 << 30)); }

}  // namespace

Result<std::unique_ptr<Stream>> TlsStream::secure(Connected connected, const Origin& origin, TlsContext& context,
                                                  SystemTime checked_at, Waker& waker, const StepLimit& limit,
                                                  Answered on_answer) {
  context.begin(checked_at);
  const Poco::Net::Session::Ptr session = context.take_session(origin.port, checked_at);
  // An IP literal must not become a server name indication (RFC 6066 §3): it is checked all the same.
  const std::string name = is_ip_literal(origin.host) ? std::string() : origin.host;
  std::unique_ptr<TlsStream> stream;
  try {
    clear_stale_errors();
    AdoptedSocket raw(std::move(connected.socket));
    auto secure_socket = SecureStreamSocket::attach(raw, name, context.poco(), session);
    stream.reset(new TlsStream(std::move(secure_socket), connected.peer, std::move(on_answer)));
  } catch (const Poco::Exception& error) {
    return Error{"tls_failed", origin.text() + ": " + error.displayText()};
  }
  if (Status done = stream->handshake(waker, limit); !done) {
    const Error& error = done.error();
    if (error.code != "tls_failed") return error.with_context(origin.text());
    return handshake_error(origin.text(), origin.host, context.note(), checked_at, error.message);
  }
  // completeHandshake() alone does not verify; OpenSSL did so inside it, and Poco is asked as well.
  const Result<int> verified = guarded([&] {
    stream->socket_.verifyPeerCertificate(origin.host);
    stream->certificate_ends_ = end_of(stream->socket_.peerCertificate().certificate());
    return 0;
  });
  if (!verified) return Error{"tls_failed", verified.error().message}.with_context(origin.text());
  stream->resumed_ = stream->socket_.sessionWasReused();
  return std::unique_ptr<Stream>(std::move(stream));
}

Status TlsStream::handshake(Waker& waker, const StepLimit& limit) {
  for (;;) {
    const Result<int> answer = guarded([&] { return socket_.completeHandshake(); });
    if (!answer) return Error{"tls_failed", answer.error().message + " in the TLS handshake"};
    std::size_t unused = 0;
    const Io io = to_io(*answer, unused);
    if (io == Io::Done) return ok();
    if (io == Io::Closed) return Error{"tls_failed", "the server ended the TLS handshake"};
    pollfd ready{descriptor(), static_cast<short>(io == Io::WantWrite ? POLLOUT : POLLIN), 0};
    const Waited waited = wait_ready(waker, std::span(&ready, 1), limit.at);
    if (waited == Waited::Cancelled) return cancelled_error("the TLS handshake");
    if (waited == Waited::TimedOut) return limit.error("tls_failed", "the server did not finish the TLS handshake");
  }
}

Result<Stream::Io> TlsStream::read(std::span<char> bytes, std::size_t& moved) {
  moved = 0;
  const Result<int> answer = guarded([&] { return socket_.receiveBytes(bytes.data(), clamp_to_int(bytes.size())); });
  if (!answer) return answer.error();
  return to_io(*answer, moved);
}

Result<Stream::Io> TlsStream::write(std::span<const char> bytes, std::size_t& moved) {
  moved = 0;
  const Result<int> answer = guarded([&] { return socket_.sendBytes(bytes.data(), clamp_to_int(bytes.size())); });
  if (!answer) return answer.error();
  return to_io(*answer, moved);
}

void TlsStream::answered() {
  clear_stale_errors();
  Poco::Net::Session::Ptr kept;
  try {
    const auto session = socket_.currentSession();
    SSL_SESSION* const copy = session ? SSL_SESSION_dup(session->sslSession()) : nullptr;
    if (copy) kept = new KeptSession(copy);
  } catch (const Poco::Exception&) {
    // The next dial makes a full handshake: nothing is lost but time.
  }
  on_answer_(std::move(kept));
}

void TlsStream::shutdown() noexcept {
  clear_stale_errors();
  try {
    socket_.shutdown();
  } catch (const Poco::Exception&) {
    // The connection is beyond a farewell.
  }
}

}  // namespace hawser::transport
