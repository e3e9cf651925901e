# The component sdk: what a vendor needs, found with find_package(HawserSDK) or pkg-config, and nothing of the agent.
include(CMakePackageConfigHelpers)
file(STRINGS include/hawser/plugin.h abi REGEX "^#define HWS_ABI_M(AJ|IN)OR [0-9]+u")
string(REGEX REPLACE ".*MAJOR ([0-9]+)u.*MINOR ([0-9]+)u.*" "\\1.\\2" HAWSER_ABI_VERSION "${abi}")
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/HawserSDK)
set(sdk_folder ${CMAKE_INSTALL_DATADIR}/hawser/sdk)

install(TARGETS hawser_sdk EXPORT HawserSDK COMPONENT sdk)
install(EXPORT HawserSDK NAMESPACE HawserSDK:: FILE HawserSDKTargets.cmake DESTINATION ${package_folder} COMPONENT sdk)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/HawserSDKConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/HawserSDKConfig.cmake INSTALL_DESTINATION ${package_folder} PATH_VARS sdk_folder)
# The version is the ABI's, not the agent's: a plugin that asks for 1.0 builds with every later 1.x.
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/HawserSDKConfigVersion.cmake
  VERSION ${HAWSER_ABI_VERSION} COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/HawserSDKConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/HawserSDKConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/HawserSDK.cmake ${CMAKE_CURRENT_LIST_DIR}/plugin.map
        DESTINATION ${package_folder} COMPONENT sdk)
# Relative to where the file is found, so that any --prefix holds.
file(RELATIVE_PATH prefix_from_pc ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_CURRENT_LIST_DIR}/hawser-sdk.pc.in ${CMAKE_CURRENT_BINARY_DIR}/hawser-sdk.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/hawser-sdk.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT sdk)

install(DIRECTORY include/hawser DESTINATION include COMPONENT sdk FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(DIRECTORY template DESTINATION ${sdk_folder} COMPONENT sdk)
install(DIRECTORY examples DESTINATION ${sdk_folder} COMPONENT sdk
        PATTERN "__pycache__" EXCLUDE PATTERN "target" EXCLUDE PATTERN "Cargo.lock" EXCLUDE PATTERN "com.example.*" EXCLUDE)
install(DIRECTORY protocol DESTINATION ${sdk_folder} COMPONENT sdk FILES_MATCHING PATTERN "*.json")
install(DIRECTORY testing DESTINATION ${sdk_folder} COMPONENT sdk
        FILES_MATCHING PATTERN "fake_*.cpp" PATTERN "fake_*.hpp" PATTERN "*_test.cpp" EXCLUDE
        PATTERN "conformance" EXCLUDE)
install(FILES README.md ABI.md protocol.md DESTINATION ${sdk_folder} COMPONENT sdk)
