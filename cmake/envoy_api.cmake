# Envoy's API and Envoy itself, as made by third_party/fetch ("make setup").
#
#   target envoy_api               link it to include <envoy/.../x.pb.h>
#   KUMA_ENVOY_BINARY              Envoy for end-to-end tests; set it to try another one
#   KUMA_ENVOY_API_DESCRIPTORS     FileDescriptorSet of the whole API, compiled in or not
#   KUMA_DEPS                      folder of third_party/fetch; empty: its default

set(KUMA_DEPS "$ENV{KUMA_DEPS}" CACHE PATH "Folder of third_party/fetch; empty: its default")
if(DEFINED ENV{KUMA_DEPS})
  set_property(CACHE KUMA_DEPS PROPERTY VALUE "$ENV{KUMA_DEPS}")
endif()
get_filename_component(_third_party "${CMAKE_CURRENT_LIST_DIR}/../third_party" ABSOLUTE)

# A change of what the library is made of configures anew.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  "${_third_party}/pins" "${_third_party}/envoy_api_folders" "${_third_party}/envoy_api.py")

execute_process(
  COMMAND "${CMAKE_COMMAND}" -E env "KUMA_DEPS=${KUMA_DEPS}" "${_third_party}/fetch" --print
  OUTPUT_VARIABLE _fetched ERROR_VARIABLE _message RESULT_VARIABLE _failed)
if(_failed)
  message(FATAL_ERROR "Envoy's API or Envoy is missing: run 'make setup' first.\n${_message}")
endif()
foreach(_name envoy_api envoy)
  string(REGEX MATCH "(^|\n)${_name}=([^\n]+)" _ "${_fetched}")
  set(_fetched_${_name} "${CMAKE_MATCH_2}")
endforeach()

# Follows the pins unless the user chose another binary.
if(NOT KUMA_ENVOY_BINARY OR KUMA_ENVOY_BINARY STREQUAL KUMA_ENVOY_BINARY_FETCHED)
  set(KUMA_ENVOY_BINARY "${_fetched_envoy}" CACHE FILEPATH "Envoy for end-to-end tests" FORCE)
endif()
set(KUMA_ENVOY_BINARY_FETCHED "${_fetched_envoy}" CACHE INTERNAL "")
set(KUMA_ENVOY_API_DESCRIPTORS "${_fetched_envoy_api}/descriptors.pb" CACHE INTERNAL "")

find_package(Protobuf REQUIRED)
find_package(Threads REQUIRED)
add_library(envoy_api STATIC IMPORTED GLOBAL)
set_target_properties(envoy_api PROPERTIES
  IMPORTED_LOCATION "${_fetched_envoy_api}/lib/libenvoy_api.a"
  INTERFACE_INCLUDE_DIRECTORIES "${_fetched_envoy_api}/include"
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${_fetched_envoy_api}/include"
  INTERFACE_LINK_LIBRARIES "protobuf::libprotobuf;Threads::Threads")
