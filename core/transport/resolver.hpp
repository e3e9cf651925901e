#pragma once

#include <Poco/Net/IPAddress.h>

#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/waker.hpp"
#include "core/transport/egress.hpp"
#include "core/transport/wait.hpp"

namespace hawser::transport {

// The addresses of `host`, families interleaved, IPv6 first (RFC 8305 §4). An IP literal is its own answer. Asked
// afresh each time: the hosts file first, then the name servers of resolv.conf. When one family's answer is late the
// other is not kept waiting (kResolutionDelay). Errors: dns_failed, attempt_timeout, cancelled.
// `egress`: its families only, its hosts file and resolv.conf where it has its own, and questions leave by it; with a
// source address only name servers of its family are asked.
// `servers`: name servers other than the system's, as "127.0.0.1:5353,..."; for tests.
Result<std::vector<Poco::Net::IPAddress>> resolve(const std::string& host, Waker& waker, const StepLimit& limit,
                                                  const Egress& egress = {}, const std::string& servers = {});

bool is_ip_literal(const std::string& host);

}  // namespace hawser::transport
