// The guide's hardware tables, and what they let through.
#include "core/config/hardware.hpp"

#include <set>

#include "core/config/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::config;

TEST_CASE("[conn-17] the guide's three tables are complete, a row for each model") {
  ConfigFolder folder;
  const auto tables = read_hardware_tables(folder.path());
  REQUIRE(tables);
  REQUIRE(tables->size() == 3);
  const std::size_t compatible[] = {55, 42, 37};  // counted in the guide
  std::set<std::string> models[3];
  for (std::size_t i = 0; i < 3; ++i) {
    std::size_t yes = 0;
    for (const auto& row : tables->at(i).rows) {
      models[i].insert(row.model);
      yes += row.compatible ? 1u : 0u;
    }
    CHECK(tables->at(i).rows.size() == 84);
    CHECK(yes == compatible[i]);
  }
  CHECK(models[0] == models[1]);
  CHECK(models[0] == models[2]);
}

TEST_CASE("[conn-17] a sample of rows says what the guide says") {
  struct Row {
    const char* model;
    bool cloudnet, international, adwan;
  };
  const Row rows[] = {{"MSR810", true, true, true},
                      {"MSR810-10-PoE", true, true, true},
                      {"MSR810-CNDE-SJK", false, false, false},
                      {"MSR810-LUS", false, false, false},
                      {"MSR810-LMS-EA", false, true, false},
                      {"MSR810-LME", true, true, false},
                      {"MSR1004S-5G", false, true, false},
                      {"MSR2600-15-X1", true, true, true},
                      {"MSR 2630", true, true, true},
                      {"MSR3600-51", false, false, true},
                      {"MSR3600-51-SI", false, false, false},
                      {"MSR3600-51-X1-DP", true, true, true},
                      {"MSR3610-IE-EAD", true, true, false},
                      {"MSR-EAD-AK770", true, true, false},
                      {"MSR3610-IE-IG", true, true, true},
                      {"MSR3610-IE-ES", false, false, false},
                      {"MSR3610-X1-DP-DC", true, true, true},
                      {"MSR 3620-DP", true, true, true},
                      {"MSR 3660", false, false, true},
                      {"MSR3620-G", false, false, true},
                      {"MSR3640-X1-HI", true, true, true},
                      {"MSR810-LM-WiNet", true, false, false},
                      {"MSR2600-10-X1-WiNet", true, false, false},
                      {"MSR3620-10-WiNet", false, false, false},
                      {"MSR3660-WiNet", true, false, false},
                      {"MSR3610-IE-XS", true, false, false},
                      {"MSR3660-XS", true, true, true},
                      {"MSR810-W-LM-GL", false, true, false},
                      {"MSR830-10HI-GL", false, true, false},
                      {"MSR3600-28-SI-GL", false, false, false}};
  ConfigFolder folder;
  const auto tables = read_hardware_tables(folder.path());
  REQUIRE(tables);
  for (const Row& row : rows) {
    INFO(row.model);
    CHECK(tables->at(0).find(row.model) == std::optional(row.cloudnet));
    CHECK(tables->at(1).find(row.model) == std::optional(row.international));
    CHECK(tables->at(2).find(row.model) == std::optional(row.adwan));
  }
}

TEST_CASE("[conn-17] spaces and case do not count in models") {
  ConfigFolder folder;
  const auto tables = read_hardware_tables(folder.path());
  REQUIRE(tables);
  for (const char* spelling : {"MSR 2630", "MSR2630", "msr2630", " Msr\t26 30 "})
    CHECK(tables->at(0).find(spelling) == std::optional(true));
  CHECK_FALSE(tables->at(0).find("MSR2631"));
  CHECK_FALSE(tables->at(0).find(""));
}

TEST_CASE("[conn-17] a model and a cloud that do not go together are refused with both names") {
  ConfigFolder folder;
  const auto load = [&](const std::string& model, const std::string& cloud) {
    folder.write("hawser.toml", "[device]\nserial = \"S1\"\nmodel = \"" + model + "\"\n[cloud]\n" + cloud);
    return folder.load();
  };
  CHECK(join(folder, load("msr 3660", "kind = \"cloudnet\"\n").faults) ==
        "hawser.toml:5:8: cloud.kind: model \"msr 3660\" and cloud kind \"cloudnet\" are not compatible (hawserctl "
        "compat); choose another kind, or try all the same with cloud.allow_incompatible = true\n");
  CHECK(join(folder, load("msr 3660", "kind = \"adwan\"\n").faults) == "");
  const auto tried = load("MSR3660", "kind = \"cloudnet\"\nallow_incompatible = true\n");
  REQUIRE(tried.settings);
  CHECK(tried.settings->kind == CloudKind::Cloudnet);
  CHECK(join(folder, tried.warnings) ==
        "hawser.toml:5:8: cloud.kind: model \"MSR3660\" and cloud kind \"cloudnet\" are not compatible; "
        "allow_incompatible = true tries all the same\n");
  const auto unknown = load("edge-box", "kind = \"cloudnet-international\"\n");
  REQUIRE(unknown.settings);
  CHECK(
      join(folder, unknown.warnings) ==
      "hawser.toml:5:8: cloud.kind: model \"edge-box\" and cloud kind \"cloudnet-international\" stand in no hardware "
      "table; it may not work\n");
  CHECK(load("MSR3660", "kind = \"generic\"\n").warnings.empty());
}

TEST_CASE("[conn-17] a table of the operator's own takes the place of the guide's, and a damaged one is named") {
  ConfigFolder folder;
  folder.write("hawser.toml", "[device]\nserial = \"S1\"\nmodel = \"edge\"\n[cloud]\nkind = \"adwan\"\n");
  folder.write(kHardwareFile, "[cloudnet]\n[cloudnet-international]\n[adwan]\nedge = false\n");
  CHECK(folder.load().faults.size() == 1);
  folder.write(kHardwareFile, "[cloudnet]\n[cloudnet-international]\n[adwan]\nedge = 1\n");
  CHECK(join(folder, folder.load().faults) ==
        "hawser.toml:5:8: cloud.kind: cannot be checked: hardware-compatibility.toml:4:8: adwan.\"edge\": must be true "
        "or false\n");
}
