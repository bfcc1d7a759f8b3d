//! What the OpenXR loader, which is built into the viewer on Windows, needs of the C++ library: Microsoft's linker finds
//! that by itself, MinGW's has to be told.

fn main() {
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("OS") == "windows" && target("ENV") == "gnu" {
        let libraries = "-l:libstdc++.a,-lgcc_eh,-l:libpthread.a,-lmingwex,-lmsvcrt,-lkernel32";
        for argument in ["-Wl,--start-group"].into_iter().chain(libraries.split(',')).chain(["-Wl,--end-group"]) {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
}
