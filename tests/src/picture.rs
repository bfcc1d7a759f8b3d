//! Reading and comparing what a viewer has rendered.

use std::path::{Path, PathBuf};

/// A picture, RGB, top row first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// The pixels.
    pub pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Reads an 8-bit RGB PNG.
    pub fn read(path: &Path) -> Self {
        let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size that fits memory")];
        let info = reader.next_frame(&mut bytes).expect("a whole PNG");
        assert_eq!(info.color_type, png::ColorType::Rgb, "viewers write RGB");
        let pixels = bytes[..info.buffer_size()].chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
        Self { width: info.width as usize, height: info.height as usize, pixels }
    }

    /// Writes a PNG, for a person to look at after a failure.
    pub fn write(&self, path: &Path) {
        let file = std::fs::File::create(path).expect("a place for the picture");
        let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().expect("a PNG header");
        writer.write_image_data(self.pixels.as_flattened()).expect("the pixels of a PNG");
    }

    /// Some of its columns, the left one first.
    pub fn columns(&self, columns: std::ops::Range<usize>) -> Picture {
        let rows = self.pixels.chunks_exact(self.width);
        let pixels = rows.flat_map(|row| row[columns.clone()].iter().copied()).collect();
        Picture { width: columns.len(), height: self.height, pixels }
    }

    /// Half of its columns and rows, from these shares of them on.
    pub fn half(&self, left: f64, top: f64) -> Picture {
        let at = |share: f64, of: usize| (share * of as f64).round() as usize;
        let (width, height) = (self.width / 2, self.height / 2);
        let columns = self.columns(at(left, self.width)..at(left, self.width) + width);
        let rows = columns.pixels.chunks_exact(width).skip(at(top, self.height)).take(height);
        Picture { width, height, pixels: rows.flatten().copied().collect() }
    }

    /// The same in other pixels, each the mean of those that lie in it: what is the same but sharper is the same then.
    pub fn sized(&self, width: usize, height: usize) -> Picture {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let pixels = places.map(|(x, y)| self.mean(span(x, width, self.width), span(y, height, self.height)));
        Picture { width, height, pixels: pixels.collect() }
    }

    fn mean(&self, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> [u8; 3] {
        let count = (columns.len() * rows.len()).max(1);
        let inside = || rows.clone().flat_map(|y| columns.clone().map(move |x| self.pixels[y * self.width + x]));
        [0, 1, 2].map(|c| (inside().map(|pixel| usize::from(pixel[c])).sum::<usize>() / count) as u8)
    }

    /// Share of the pixels that `is` holds for, 0 to 1.
    pub fn share(&self, is: impl Fn([u8; 3]) -> bool) -> f64 {
        self.pixels.iter().filter(|p| is(**p)).count() as f64 / self.pixels.len() as f64
    }

    /// Different colours, of 16 steps a channel: 1 or 2 in a picture of nothing.
    pub fn colours(&self) -> usize {
        let mut seen: Vec<[u8; 3]> = self.pixels.iter().map(|p| p.map(|c| c / 16)).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len()
    }

    /// Share of the pixels that clearly differ from another picture's: more than renderers differ among themselves.
    pub fn difference(&self, other: &Picture) -> f64 {
        assert_eq!((self.width, self.height), (other.width, other.height), "pictures of one size");
        let pairs = self.pixels.iter().zip(&other.pixels);
        pairs.filter(|(a, b)| distance(**a, **b) > 40).count() as f64 / self.pixels.len() as f64
    }

    /// The difference as a picture: white where it is clear.
    pub fn difference_picture(&self, other: &Picture) -> Picture {
        let pairs = self.pixels.iter().zip(&other.pixels);
        let pixels = pairs.map(|(a, b)| [(distance(*a, *b) * 4).min(255) as u8; 3]).collect();
        Picture { pixels, ..self.clone() }
    }
}

/// Of `from` pixels those that lie in the `at`th of `into`; one at least.
fn span(at: usize, into: usize, from: usize) -> std::ops::Range<usize> {
    let begin = at * from / into;
    begin..((at + 1) * from / into).max(begin + 1)
}

/// Largest difference of a channel.
pub fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b))).max().unwrap_or(0)
}

/// A folder that outlives the test, for what a person must see after a failure.
pub fn kept_folder() -> PathBuf {
    let folder = crate::program::path("gembactl").with_file_name("gemba-test-pictures");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    folder
}

/// Compares two pictures; on failure keeps both and their difference, and says where.
pub fn assert_difference(name: &str, a: &Picture, b: &Picture, expected: std::ops::RangeInclusive<f64>) {
    let difference = a.difference(b);
    if expected.contains(&difference) {
        return;
    }
    let folder = kept_folder();
    a.write(&folder.join(format!("{name}-a.png")));
    b.write(&folder.join(format!("{name}-b.png")));
    a.difference_picture(b).write(&folder.join(format!("{name}-difference.png")));
    panic!("{name}: {difference:.4} of the pixels differ, expected {expected:?}; see {}", folder.display());
}
