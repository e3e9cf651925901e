# What a plugin's CMakeLists.txt needs. hawser_add_plugin() is the one thing to call.

# hawser_add_plugin(<target> ID <id> VERSION <version> SOURCES <file>... [LIBS <target>...] [MANIFEST <file>])
#
# Builds plugins/<id>/<version>/plugin.so in the build tree, beside a copy of manifest.json (by default the one in the
# folder of the caller) and of config.schema.json, where one lies beside that. The library exports hawser_plugin_v1 and nothing else. HAWSER_PLUGIN_ID and HAWSER_PLUGIN_VERSION are
# defined for the sources, so that both stand in one place; the manifest is compared with them here.
function(hawser_add_plugin target)
  cmake_parse_arguments(ARG "" "ID;VERSION;MANIFEST" "SOURCES;LIBS" ${ARGN})
  foreach(needed ID VERSION SOURCES)
    if(NOT ARG_${needed})
      message(FATAL_ERROR "hawser_add_plugin(${target}): ${needed} is missing")
    endif()
  endforeach()
  if(NOT ARG_MANIFEST)
    set(ARG_MANIFEST ${CMAKE_CURRENT_SOURCE_DIR}/manifest.json)
  endif()
  _hawser_check_manifest(${target} ${ARG_MANIFEST} ${ARG_ID} ${ARG_VERSION})

  set(folder ${CMAKE_BINARY_DIR}/plugins/${ARG_ID}/${ARG_VERSION})
  add_library(${target} MODULE ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE HawserSDK::sdk ${ARG_LIBS})
  target_compile_definitions(${target} PRIVATE HAWSER_PLUGIN_ID="${ARG_ID}" HAWSER_PLUGIN_VERSION="${ARG_VERSION}")
  target_link_options(${target} PRIVATE
    -Wl,--version-script=${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map -Wl,-z,relro,-z,now)
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME plugin SUFFIX .so LIBRARY_OUTPUT_DIRECTORY ${folder}
    CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
  configure_file(${ARG_MANIFEST} ${folder}/manifest.json COPYONLY)
  cmake_path(GET ARG_MANIFEST PARENT_PATH beside)
  if(EXISTS ${beside}/config.schema.json)
    configure_file(${beside}/config.schema.json ${folder}/config.schema.json COPYONLY)
  endif()
endfunction()

function(_hawser_check_manifest target manifest id version)
  if(NOT EXISTS ${manifest})
    message(FATAL_ERROR "hawser_add_plugin(${target}): ${manifest} does not exist")
  endif()
  file(READ ${manifest} text)
  foreach(member id version)
    string(JSON value ERROR_VARIABLE fault GET "${text}" ${member})
    if(fault)
      message(FATAL_ERROR "${manifest}: ${fault}")
    endif()
    if(NOT value STREQUAL "${${member}}")
      message(FATAL_ERROR "${manifest}: ${member} is ${value}, hawser_add_plugin(${target}) says ${${member}}")
    endif()
  endforeach()
endfunction()
