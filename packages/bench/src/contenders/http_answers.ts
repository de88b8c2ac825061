// What all servers of the workload `http` answer with.

export const text = "Hello, World!";

/** About 1 KiB as JSON. */
export const record = {
  id: 12345,
  name: "A name of a customer",
  active: true,
  balance: 1234.5,
  address: { street: "A street of a town", number: 17, city: "A town", country: "A country" },
  orders: Array.from({ length: 8 }, (_, index) => ({
    id: 1000 + index,
    item: `an item of order ${index}`,
    count: index + 1,
    price: 9.75 + index,
    delivered: index % 2 === 0,
  })),
  tags: ["one", "two", "three", "four", "five", "six"],
  note: "A text of some length, as it stands in most objects that a server sends to its clients.",
};

/** A body of 64 KiB. */
export const largeBytes = 64 * 1024;
export const large: Uint8Array = new Uint8Array(largeBytes).fill(0x61);
