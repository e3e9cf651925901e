#pragma once

#include <Poco/Net/SecureStreamSocket.h>

#include <functional>

#include "core/transport/connector.hpp"
#include "core/transport/stream.hpp"
#include "core/transport/tls_context.hpp"

namespace hawser::transport {

// A Stream over Poco's SecureStreamSocket. What Poco throws ends here.
class TlsStream final : public Stream {
 public:
  // Gets the session that the next dial may use, or null where there is none.
  using Answered = std::function<void(Poco::Net::Session::Ptr)>;

  // The handshake on a connected socket. `on_answer` is called by answered(), on its thread.
  static Result<std::unique_ptr<Stream>> secure(Connected connected, const Origin& origin, TlsContext& context,
                                                SystemTime checked_at, Waker& waker, const StepLimit& limit,
                                                Answered on_answer);

  Result<Io> read(std::span<char> bytes, std::size_t& moved) override;
  Result<Io> write(std::span<const char> bytes, std::size_t& moved) override;
  int descriptor() const override { return socket_.impl()->sockfd(); }
  std::string peer_address() const override { return peer_.host().toString(); }
  bool session_was_resumed() const override { return resumed_; }
  SystemTime certificate_ends() const override { return certificate_ends_; }
  void answered() override;
  void shutdown() noexcept override;

 private:
  TlsStream(Poco::Net::SecureStreamSocket socket, Poco::Net::SocketAddress peer, Answered on_answer)
      : socket_(std::move(socket)), peer_(std::move(peer)), on_answer_(std::move(on_answer)) {}

  Status handshake(Waker& waker, const StepLimit& limit);

  mutable Poco::Net::SecureStreamSocket socket_;
  Poco::Net::SocketAddress peer_;
  Answered on_answer_;
  bool resumed_ = false;
  SystemTime certificate_ends_{};
};

}  // namespace hawser::transport
