#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

// The few OpenSSL calls that the bench's two bare ends need. Anything that fails ends the bench.
namespace hawser::bench {

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Ssl = std::unique_ptr<SSL, FreeSsl>;
using Context = std::unique_ptr<SSL_CTX, FreeSsl>;

[[noreturn]] inline void give_up(const char* what) {
  std::fprintf(stderr, "subconnection_bench: %s failed\n", what);
  ERR_print_errors_fp(stderr);
  std::_Exit(1);
}

inline void write_all(SSL* ssl, std::string_view data) {
  while (!data.empty()) {
    std::size_t moved = 0;
    if (SSL_write_ex(ssl, data.data(), data.size(), &moved) != 1) give_up("SSL_write");
    data.remove_prefix(moved);
  }
}

}  // namespace hawser::bench
