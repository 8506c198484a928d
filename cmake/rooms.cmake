# The rooms of the house, lowest first, and what each may use (HACKING.md has the map).
sinter_room(base PUBLIC Threads::Threads OpenSSL::Crypto)
set_source_files_properties(src/base/build.cc PROPERTIES COMPILE_DEFINITIONS
                            SINTER_COMMIT="${SINTER_COMMIT}")
sinter_room(tensor PUBLIC sinter_base)
sinter_room(text PUBLIC sinter_base PkgConfig::PCRE2 PkgConfig::UTF8PROC)
sinter_room(format PUBLIC sinter_tensor)
sinter_room(artifact PUBLIC sinter_format)
sinter_room(backend PUBLIC sinter_format)
sinter_room(kv PUBLIC sinter_backend)
sinter_room(model PUBLIC sinter_kv sinter_artifact)
sinter_room(engine PUBLIC sinter_model sinter_text)
sinter_room(compress PUBLIC sinter_model sinter_text yaml-cpp)
sinter_room(gate PUBLIC sinter_engine sinter_artifact yaml-cpp PkgConfig::PUGIXML
            PkgConfig::PCRE2)
