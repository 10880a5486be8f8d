// SPDX-License-Identifier: BSD-3-Clause
// work.rs: a program that rustc compiles. It allocates with malloc.
use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

trait Shape {
	fn area(&self) -> f64;
}
struct Square(f64);
struct Circle {
	radius: f64,
}
impl Shape for Square {
	fn area(&self) -> f64 {
		self.0 * self.0
	}
}
impl Shape for Circle {
	fn area(&self) -> f64 {
		self.radius * self.radius * 3.0
	}
}

fn words(seed: u64, count: usize) -> BTreeMap<String, Vec<u64>> {
	let mut map: BTreeMap<String, Vec<u64>> = BTreeMap::new();
	let mut state = seed;
	for i in 0..count {
		state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
		map.entry(format!("word {}", (state >> 33) % 997)).or_default().push(i as u64);
	}
	map
}

fn main() {
	let shapes: Vec<Box<dyn Shape>> = (0..1000)
		.map(|i| -> Box<dyn Shape> {
			if i % 2 == 0 { Box::new(Square(i as f64)) } else { Box::new(Circle { radius: i as f64 }) }
		})
		.collect();
	println!("{}", shapes.iter().map(|s| s.area()).sum::<f64>());
	let (sender, receiver) = mpsc::channel();
	let shared = Arc::new(Mutex::new(HashMap::new()));
	let threads: Vec<_> = (0..8u64)
		.map(|n| {
			let (sender, shared) = (sender.clone(), Arc::clone(&shared));
			thread::spawn(move || {
				let map = words(n, 20000);
				shared.lock().unwrap().insert(n, map.len());
				sender.send((n, map)).unwrap();
			})
		})
		.collect();
	drop(sender);
	let mut all: Vec<_> = receiver.into_iter().collect();
	all.sort_by_key(|(n, _)| *n);
	for (n, map) in &all {
		let sum: u64 = map.values().map(|v| v.iter().sum::<u64>()).sum();
		println!("{} {} {}", n, map.len(), sum);
	}
	for thread in threads {
		thread.join().unwrap();
	}
	println!("{}", shared.lock().unwrap().values().sum::<usize>());
	let output = Command::new("sh").arg("-c").arg("echo child; exit 3").output().unwrap();
	println!("{}{:?}", String::from_utf8_lossy(&output.stdout), output.status.code());
	println!("{}", thread::spawn(|| { panic!("expected") }).join().is_err());
}
