//! Hours of simulated production, with everything that must hold checked on the way.

use std::hash::{DefaultHasher, Hash, Hasher};

use gemba_twin::arm;
use gemba_twin::layout::{PART_SIZE, PARTS};
use gemba_twin::machine_state::MachineState;
use gemba_twin::sample::Value;

use super::motion::SPEED_LIMITS;
use super::*;

const HOUR: f64 = 3600.0;

fn hash_of(plant: &Simulator) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", plant.readings()).hash(&mut hasher);
    hasher.finish()
}

/// Every part is in exactly one place.
fn check_parts_are_somewhere(line: &Line, seed: u64) {
    let mut holders = vec![0; PARTS];
    line.conveyors.iter().flat_map(|c| c.riders()).for_each(|(part, _)| holders[part] += 1);
    line.robots.iter().filter_map(|r| r.held()).for_each(|part| holders[part] += 1);
    line.cncs.iter().filter_map(|c| c.part()).for_each(|part| holders[part] += 1);
    line.amrs.iter().flat_map(|a| a.load()).for_each(|(part, _)| holders[part] += 1);
    for (part, count) in holders.into_iter().enumerate() {
        let expected = i32::from(line.parts[part].is_present);
        assert_eq!(count, expected, "seed {seed}: part {part} is held by {count}");
    }
}

fn check_parts_do_not_overlap(line: &Line, seed: u64) {
    let present: Vec<_> = line.parts.iter().enumerate().filter(|(_, part)| part.is_present).collect();
    for (n, (a, one)) in present.iter().enumerate() {
        for (b, other) in &present[n + 1..] {
            let apart = (one.place - other.place).abs().max_element();
            assert!(
                apart > PART_SIZE - 1e-6,
                "seed {seed}, {:.2} s: parts {a} at {} and {b} at {} overlap",
                line.production.planned_secs,
                one.place,
                other.place
            );
        }
    }
}

fn check_joints(line: &Line, last: &mut [arm::Angles], seed: u64) {
    for (robot, last) in line.robots.iter().zip(last) {
        for (joint, limits) in arm::JOINTS.iter().enumerate() {
            let angle = robot.angles()[joint];
            assert!((limits.low..=limits.high).contains(&angle), "seed {seed}: joint {joint} at {angle}");
            let speed = (angle - last[joint]).abs() / STEP_SECS;
            assert!(speed <= SPEED_LIMITS[joint] * 1.001, "seed {seed}: joint {joint} turns at {speed} rad/s");
        }
        *last = *robot.angles();
    }
}

fn check_amrs_keep_apart(line: &Line, seed: u64) {
    let apart = line.amrs[0].place().distance(line.amrs[1].place());
    assert!(apart > 1.4, "seed {seed}: AMRs are {apart} m apart");
}

fn check_readings_are_in_range(plant: &Simulator, seed: u64) {
    for (tag, reading) in plant.tags().iter().zip(plant.readings()) {
        let number = reading.value.as_number().unwrap_or_else(|| panic!("{} is no number", tag.path));
        // A range is what is normal; a breakdown makes any cycle longer than that.
        if let Some(range) = tag.range.filter(|_| tag.path.name() != layout::tags::CYCLE_TIME) {
            assert!((range.low..=range.high).contains(&number), "seed {seed}: {} reads {number}", tag.path);
        }
    }
}

#[test]
fn a_line_produces_for_eight_hours_without_losing_crushing_or_overdriving_anything() {
    for seed in [1, 2, 3] {
        let mut plant = Simulator::new(1, seed);
        let mut last = plant.lines[0].robots.iter().map(|robot| *robot.angles()).collect::<Vec<_>>();
        let mut made_before = 0;
        for quarter in 1..=32 {
            for step in 0..(HOUR / 4.0 / STEP_SECS) as u32 {
                plant.lines[0].step(STEP_SECS);
                let line = &plant.lines[0];
                check_joints(line, &mut last, seed);
                if step % 4 == 0 {
                    check_parts_do_not_overlap(line, seed);
                }
                if step % 40 == 0 {
                    check_parts_are_somewhere(line, seed);
                    check_amrs_keep_apart(line, seed);
                    plant.tell();
                    check_readings_are_in_range(&plant, seed);
                }
            }
            let made = plant.lines[0].production.parts;
            assert!(made >= made_before + 30, "seed {seed}: only {} parts in quarter {quarter}", made - made_before);
            made_before = made;
        }
        let oee = plant.lines[0].production.oee().unwrap();
        println!("seed {seed}: {made_before} parts, {} scrap, {oee:?}", plant.lines[0].production.scrap);
        assert!(made_before >= 1800, "seed {seed}: {made_before} parts in 8 hours");
        assert!((0.75..0.99).contains(&oee.availability), "seed {seed}: {oee:?}");
        assert!((0.6..=1.0).contains(&oee.performance), "seed {seed}: {oee:?}");
        assert!((0.9..0.999).contains(&oee.quality), "seed {seed}: {oee:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_readings_to_the_last_bit_and_another_seed_others() {
    let after = |seed| {
        let mut plant = Simulator::new(2, seed);
        plant.run(900.0);
        hash_of(&plant)
    };
    assert_eq!(after(11), after(11));
    assert_ne!(after(11), after(12));
}

#[test]
fn readings_do_not_depend_on_how_the_steps_are_grouped() {
    let (mut one, mut many) = (Simulator::new(1, 4), Simulator::new(1, 4));
    one.steps(6000);
    (0..2000).for_each(|_| many.steps(3));
    assert_eq!(hash_of(&one), hash_of(&many));
}

#[test]
fn machines_starve_block_break_down_and_recover() {
    let mut plant = Simulator::new(1, 3);
    let states: Vec<usize> =
        plant.tags().iter().enumerate().filter(|(_, tag)| tag.path.name() == "State").map(|(i, _)| i).collect();
    let mut seen = std::collections::BTreeSet::new();
    let mut recovered = false;
    let mut last = vec![0; states.len()];
    for _ in 0..3600 {
        plant.run(1.0);
        for (n, place) in states.iter().enumerate() {
            let Value::Int(code) = plant.readings()[*place].value else { panic!("a state is a number") };
            recovered |= last[n] == MachineState::Faulted as i64 && code == MachineState::Running as i64;
            last[n] = code;
            seen.insert(code);
        }
    }
    let wanted = [MachineState::Idle, MachineState::Running, MachineState::Starved, MachineState::Blocked];
    assert!(wanted.iter().all(|state| seen.contains(&(*state as i64))), "only {seen:?}");
    assert!(seen.contains(&(MachineState::Faulted as i64)) && recovered);
}

#[test]
fn a_closed_valve_overheats_its_cell_and_an_open_one_cools_it_again() {
    let mut plant = Simulator::new(1, 9);
    let place = |plant: &Simulator, path: &str| plant.tags().iter().position(|t| t.path.as_str() == path).unwrap();
    let valve = place(&plant, "Hall1/Line1/Valve1/Position");
    let temperature = place(&plant, "Hall1/Line1/Cnc1/Temperature");
    let read = |plant: &Simulator| plant.readings()[temperature].value.as_number().unwrap();
    plant.run(600.0);
    let usual = read(&plant);
    assert!(plant.command(valve, 0.0));
    let mut hottest = usual;
    for _ in 0..900 {
        plant.run(1.0);
        hottest = hottest.max(read(&plant));
    }
    assert!(usual < 50.0 && hottest > 75.0, "{usual} °C rose to {hottest} °C");
    assert!(plant.command(valve, -1.0));
    plant.run(600.0);
    assert!(read(&plant) < 55.0, "{} °C", read(&plant));
    assert!(!plant.command(temperature, 20.0), "a sensor takes no command");
}

#[test]
fn a_plant_of_many_lines_has_each_tag_once_and_halls_of_their_own() {
    let plant = Simulator::new(9, 1);
    let paths: std::collections::HashSet<_> = plant.tags().iter().map(|tag| tag.path.as_str()).collect();
    assert_eq!(paths.len(), plant.tags().len());
    assert!(paths.contains("Hall2/Line1/Robot3/StackLight/Green"));
    assert_eq!(plant.tags().len() % 9, 0);
}
