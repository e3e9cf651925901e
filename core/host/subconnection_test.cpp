#include "core/host/subconnection.hpp"

#include "core/host/core_link.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::host;

TEST_CASE("however many grants come while a dial is under way, a stop is heard") {
  class Unreachable : public Gateway {
   public:
    Result<transport::Upgrade> open(const Grant&, TimePoint) override { return Error{"connect_refused", "a test"}; }
  };
  CoreLink link([] { return true; });
  std::string problem = "still running";
  {
    Subconnection subconnection(
        {"acme.shop", "1", "s", "", std::filesystem::temp_directory_path()}, link, [] { return true; },
        [](Waker&) { return std::make_unique<Unreachable>(); }, [&](const std::string& said) { problem = said; });
    CoreWord word;
    word.at = Clock::now();
    word.grant = json::parse_object(R"({"service":"s","protocol":"a.s.v1","url":"wss://h/","token":"t","expires_in":60,
        "max_message_bytes":1048576,"max_in_flight_messages":10,"max_in_flight_bytes":100000,"ping_s":60})")
                     .value();
    for (std::size_t i = 0; i < 2 * kCommandsMax; ++i) subconnection.hear(word);
    word.kind = CoreWord::Kind::Stop;
    subconnection.hear(word);
    subconnection.start();  // the destructor waits for the end of its thread
  }
  CHECK(problem == "");
}
