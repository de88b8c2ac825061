// Node's permission model (--permission), which knows nothing of what an addon does.

export interface Permission {
  has(scope: string, reference?: string): boolean;
}

/** The model, where it is in force. */
export function permissionModel(): Permission | null {
  return (process as { permission?: Permission }).permission ?? null;
}
