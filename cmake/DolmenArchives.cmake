# gRPC, Protocol Buffers and abseil as Dolmen links them: Dolmen::abseil, Dolmen::crypto, Dolmen::protobuf, Dolmen::grpc.
# Used by the build and, installed beside the package file, by whoever links Dolmen::client.
#
# They are linked statically everywhere: loading their 60 shared objects would cost more than a `dolmen dfs` command, and
# one way of linking for all binaries is simpler than two. Except under ThreadSanitizer: it can tell code that is not built
# for it (which it must not judge) from ours only by the shared object.

if(DOLMEN_SANITIZE STREQUAL thread)
  set(archive_suffix so)
else()
  set(archive_suffix a)
endif()
function(dolmen_archive out name)
  find_file(archive_${name} NAMES lib${name}.${archive_suffix} PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE} /usr/lib NO_DEFAULT_PATH REQUIRED)
  set(${out} ${archive_${name}} PARENT_SCOPE)
endfunction()

# abseil: all archives as one group, in whatever order they need each other.
file(GLOB absl_archives /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/libabsl_*.${archive_suffix})
if(NOT absl_archives)
  message(FATAL_ERROR "abseil's libraries (Debian: libabsl-dev) are missing; deploy/install-packages.sh installs all that is needed")
endif()
add_library(dolmen_abseil INTERFACE)
list(JOIN absl_archives "," joined)
target_link_libraries(dolmen_abseil INTERFACE "$<LINK_GROUP:RESCAN,${joined}>" Threads::Threads)
add_library(Dolmen::abseil ALIAS dolmen_abseil)

dolmen_archive(crypto_archive crypto)
add_library(dolmen_crypto INTERFACE)
target_link_libraries(dolmen_crypto INTERFACE ${crypto_archive} dl Threads::Threads)
add_library(Dolmen::crypto ALIAS dolmen_crypto)

dolmen_archive(protobuf_archive protobuf)
add_library(dolmen_protobuf INTERFACE)
target_link_libraries(dolmen_protobuf INTERFACE ${protobuf_archive} z Threads::Threads)
add_library(Dolmen::protobuf ALIAS dolmen_protobuf)

set(grpc_archives)
foreach(name grpc++ grpc gpr address_sorting upb re2 cares ssl)
  dolmen_archive(one ${name})
  list(APPEND grpc_archives ${one})
endforeach()
add_library(dolmen_grpc INTERFACE)
list(JOIN grpc_archives "," joined)
target_link_libraries(dolmen_grpc INTERFACE "$<LINK_GROUP:RESCAN,${joined}>" Dolmen::protobuf Dolmen::abseil Dolmen::crypto)
add_library(Dolmen::grpc ALIAS dolmen_grpc)
