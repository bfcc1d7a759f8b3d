//! Real models that nobody here made: each opens, and its picture is not empty.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gemba_tests::picture::Picture;
use gemba_tests::program::Program;
use gemba_tests::shared;

fn models(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_model = path.extension().is_some_and(|e| e == "glb" || e == "gltf");
        if path.is_dir() {
            models(&path, found);
        } else if is_model {
            found.push(path);
        }
    }
}

/// What is wrong with the picture of a model; none if nothing is.
fn look(model: &Path) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder for the picture");
    let picture = folder.path().join("a.png");
    let arguments = ["view".into(), model.as_os_str().to_owned(), "--screenshot".into(), picture.clone().into()];
    let small = ["--headless", "--plain", "--size", "160x90", "--seconds", "0.2"].map(Into::into);
    let ended = Program::start("gemba", arguments.into_iter().chain(small)).wait();
    if ended.code != Some(0) {
        return Some(format!("{}: {}", model.display(), ended.stderr));
    }
    let colours = Picture::read(&picture).colours();
    (colours < 4).then(|| format!("{}: only {colours} colours", model.display()))
}

#[test]
fn every_shared_scene_machine_and_robot_opens_and_is_seen() {
    let Some(data) = shared::data("models") else { return };
    let mut found = Vec::new();
    ["scenes", "machines", "robots"].iter().for_each(|folder| models(&data.join(folder), &mut found));
    assert!(found.len() > 50, "{} models", found.len());
    let queue = Mutex::new(found);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no thread panics with the queue").pop();
                    let Some(model) = next else { return };
                    problems.lock().expect("no thread panics with the list").extend(look(&model));
                }
            });
        }
    });
    let problems = problems.into_inner().expect("all threads have ended");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
