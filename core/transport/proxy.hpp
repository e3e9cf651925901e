#pragma once

#include "core/transport/connector.hpp"
#include "core/transport/stream.hpp"

namespace hawser::transport {

// Whether `host` is dialled without the proxy: no proxy is set, or a rule of its no_proxy matches. A rule is "*"; a
// domain, which stands for itself and all below it ("example.com", ".example.com" and "*.example.com" alike); an
// address or a range of them ("10.0.0.0/8"), which stands for literals only, since names are for the proxy to look up.
bool bypasses(const Proxy& proxy, const std::string& host);

// Asks the proxy behind `connected` for a tunnel to `origin` (RFC 9110 §9.3.6). Reads its answer and not a byte more:
// what follows belongs to the tunnel. Credentials, if any, go out as Basic; no message holds them. Errors name the
// proxy: proxy_auth_required (407, or 401), proxy_refused (any other answer than 2xx, no answer, none in good form, or
// one with more than kHeaderBytesMax), http_timeout, attempt_timeout, cancelled.
Status ask_tunnel(const Connected& connected, const Proxy& proxy, const Origin& origin, Waker& waker,
                  const StepLimit& limit);

}  // namespace hawser::transport
